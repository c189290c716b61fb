"""Which function writes a layer of which type: `@writes("ReLU")`.

A function takes a Place and returns the layer's tops. The first line of its text, which names the
operators, is the type's entry in docs/onnx.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from protonet.onnx.functions import Functions

from .place import Place
from .values import Value

__all__ = ["REFUSED", "LayerWriter", "layer_writer", "layer_writers", "writes"]

LayerWriter: TypeAlias = Callable[[Place], Value | list[Value]]

_LOSS = "a loss: it has no meaning in a model that only runs"
_DATA = "a data source: it belongs to training"
_RANKING = "it judges results against labels, and is no part of a model that runs"

REFUSED: dict[str, str] = {
    **dict.fromkeys(
        ("ContrastiveLoss", "EuclideanLoss", "HingeLoss", "InfogainLoss", "L1Loss", "MultiBoxLoss",
         "MultinomialLogisticLoss", "RegionLoss", "SigmoidCrossEntropyLoss", "SmoothL1Loss",
         "SoftmaxWithLoss"),
        _LOSS,
    ),
    **dict.fromkeys(
        ("AnnotatedData", "Data", "DenseImageData", "HDF5Data", "HDF5Output", "ImageData",
         "IdxData", "ImageFolder", "ImageSegData", "MemoryData", "VideoData", "WindowData"),
        _DATA,
    ),
    **dict.fromkeys(("Accuracy", "DetectionEvaluate", "EvalDetection"), _RANKING),
    "Python": "its code is Python's: --python-layer-domain writes it as an operator of our own",
}  # fmt: skip
"""Layer types that are not written, and why."""

_writers: Functions[LayerWriter] = Functions("protonet.onnx.exporting.layers")
writes = _writers.adds
"""Makes the function that follows the one that writes layers of these types."""


def layer_writers() -> dict[str, LayerWriter]:
    """Returns all functions by layer type."""
    return _writers.all()


def layer_writer(type: str) -> LayerWriter | None:
    """Returns the function for a layer type, or None if it cannot be written."""
    return layer_writers().get(type)
