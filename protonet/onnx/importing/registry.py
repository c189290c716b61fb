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

__all__ = ["UNREADABLE", "NodeReader", "Result", "node_reader", "node_readers", "reads"]

Result: TypeAlias = "Blob | np.ndarray | list[Blob]"
NodeReader: TypeAlias = Callable[[Node], Result]

_STEPS = "its steps: export the model with them unrolled, as Caffe's LSTM carries its state on"
_CHOICE = "a choice of boxes: export the model without what follows its predictions"
_QUANTIZED = "numbers of 8 bits: export the model before it is quantized"
_NO_LAYER = "no layer computes it"

UNREADABLE: dict[str, str] = {
    **dict.fromkeys(("LSTM", "GRU", "RNN", "Scan", "Loop"), _STEPS),
    **dict.fromkeys(("NonMaxSuppression", "RoiAlign", "NonZero"), _CHOICE),
    **dict.fromkeys(
        ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger", "MatMulInteger",
         "DynamicQuantizeLinear", "QLinearMatMul"),
        _QUANTIZED,
    ),
    **dict.fromkeys(
        ("Acos", "Asin", "Atan", "Ceil", "Cos", "CumSum", "Erf", "Floor", "GridSample", "Round",
         "Sign", "Sin", "Softsign", "Tan"),
        _NO_LAYER,
    ),
    **dict.fromkeys(
        ("Equal", "GreaterOrEqual", "Less", "LessOrEqual", "Where"),
        "a choice by comparison, which no layer makes exactly",
    ),
    **dict.fromkeys(
        ("Einsum", "GatherElements", "GatherND", "ScatterElements", "ScatterND"),
        "indices or products that no layer takes",
    ),
}  # fmt: skip
"""Operators that are often seen and not read, and why."""

_readers: Functions[NodeReader] = Functions("protonet.onnx.importing.operators")
reads = _readers.adds
"""Makes the function that follows the one that reads operators of these names."""


def node_readers() -> dict[str, NodeReader]:
    """Returns all functions by operator."""
    return _readers.all()


def node_reader(kind: str) -> NodeReader | None:
    """Returns the function for an operator, or None if it cannot be read."""
    return node_readers().get(kind)
