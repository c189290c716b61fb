"""Which function reads which operator: `@reads("Conv")`.

A function takes a Node and returns the blobs (or constants) of its results. The first line of its
text, which names the layers, is the operator's entry in docs/onnx.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from protonet.onnx.functions import Functions

from .node import Node

if TYPE_CHECKING:
    from .builder import Blob

__all__ = ["NodeReader", "Result", "node_reader", "node_readers", "reads"]

Result: TypeAlias = "Blob | np.ndarray | list[Blob]"
NodeReader: TypeAlias = Callable[[Node], Result]

_readers: Functions[NodeReader] = Functions("protonet.onnx.importing.operators")
reads = _readers.adds
"""Makes the function that follows the one that reads operators of these names."""


def node_readers() -> dict[str, NodeReader]:
    """Returns all functions by operator."""
    return _readers.all()


def node_reader(kind: str) -> NodeReader | None:
    """Returns the function for an operator, or None if it cannot be read."""
    return node_readers().get(kind)
