"""How large a blob may be: as in Caffe at most 32 axes and 2³¹ − 1 elements.

Codes: E206 a blob that is too large, or of a negative size.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from protonet.blob import MOST_AXES
from protonet.layers.base import LayerError, Shape, shape_text

if TYPE_CHECKING:
    from .graph import Node

__all__ = ["MOST_ELEMENTS", "judge_sizes"]

MOST_ELEMENTS = 2**31 - 1


def judge_sizes(node: Node) -> None:
    """Raises LayerError if a top or a parameter of the node cannot be a blob."""
    for name, shape in zip(node.param.top, node.top_shapes, strict=False):
        if shape is not None:
            _judge(f'top "{name}"', shape)
    for number, parameter in enumerate(node.parameters or ()):
        _judge(f"parameter {number}", parameter.shape)


def _judge(what: str, shape: Shape) -> None:
    if len(shape) > MOST_AXES:
        raise LayerError(f"{what} has {len(shape)} axes, and {MOST_AXES} are possible", code="E206")
    if any(size < 0 for size in shape):
        raise LayerError(f"{what} would be {shape_text(shape)}", code="E206")
    count = math.prod(max(1, size) for size in shape)  # what an empty blob would be, unemptied
    if count > MOST_ELEMENTS:
        raise LayerError(
            f"{what} would be {shape_text(shape)}: {count:,} elements",
            code="E206",
            help=f"a blob holds at most 2³¹ − 1 = {MOST_ELEMENTS:,} elements",
        )
