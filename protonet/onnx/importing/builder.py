"""Layers added one after the other, with names that read well."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from protonet.ir.protonet_pb2 import LayerParameter, NetParameter
from protonet.layers.base import LayerError, Shape, shape_text
from protonet.layers.registry import create_layer
from protonet.onnx.names import fresh_name

from .node import Unreadable

__all__ = ["CAFFE_TYPES", "Blob", "Builder", "readable"]

CAFFE_TYPES = frozenset({
    "AbsVal", "Accuracy", "ArgMax", "BNLL", "BatchNorm", "BatchReindex", "Bias", "Clip", "Concat",
    "ContrastiveLoss", "Convolution", "Crop", "Data", "Deconvolution", "Dropout", "DummyData",
    "ELU", "Eltwise", "Embed", "EuclideanLoss", "Exp", "Filter", "Flatten", "HDF5Data",
    "HDF5Output", "HingeLoss", "Im2col", "ImageData", "InfogainLoss", "InnerProduct", "Input",
    "LRN", "LSTM", "LSTMUnit", "Log", "MVN", "MemoryData", "MultinomialLogisticLoss", "PReLU",
    "Parameter", "Pooling", "Power", "Python", "RNN", "ReLU", "Reduction", "Reshape", "SPP",
    "Scale", "Sigmoid", "SigmoidCrossEntropyLoss", "Silence", "Slice", "Softmax",
    "SoftmaxWithLoss", "Split", "Swish", "TanH", "Threshold", "Tile", "WindowData",
})  # fmt: skip
"""The layer types of Caffe 1.0; others are of forks."""

_MEMORY_OF_BOTTOM = ("Flatten", "Reshape", "Split", "Unsqueeze")


@dataclass
class Blob:
    """A blob of the net in the making; `uses` counts those who still read it."""

    name: str
    shape: Shape
    layer: int  # that made it last
    uses: int = 1
    is_view: bool = False  # its memory is another blob's
    pads: tuple[int, ...] = ()  # zeros that its readers, all convolutions, put around the planes

    @property
    def rank(self) -> int:
        return len(self.shape)


def readable(value: str, kind: str) -> str:
    """Returns a name for what a value is: without an exporter's trimmings.

    "/layer1/layer1.0/conv1/Conv_output_0" is layer1.0/conv1; "123" is conv_123. Without a kind
    that stays in the name.
    """
    name = re.sub(r"_output_\d+$", "", value.strip("/").removesuffix(":0"))
    if re.fullmatch(r"[\d.]*", name):
        return f"{kind.lower()}_{name}".rstrip("_")
    parts = [part for part in name.split("/") if part]
    kept = [
        part
        for part, following in zip(parts, [*parts[1:], ""], strict=True)
        if not following.startswith(part + ".")
    ]
    if kind and len(kept) > 1 and re.fullmatch(rf"{kind}(_\d+)?", kept[-1]):
        kept.pop()
    return "/".join(kept) or kind.lower()


class Builder:
    """The net's layers and their trained blobs."""

    def __init__(self, name: str, strict: bool) -> None:
        self.net = NetParameter(name=name)
        self.weights: dict[str, list[np.ndarray]] = {}
        self.strict = strict
        self.forks: dict[str, list[str]] = {}  # layer type → layers, of those Caffe 1.0 lacks
        self.names: set[str] = set()
        self.permuted: dict[int, tuple[Blob, list[int]]] = {}  # Permute layers: bottom and order
        self.planes: dict[int, int] = {}  # of poolings with indices: the size of the pooled plane

    def fresh(self, wanted: str) -> str:
        """Returns a name that is not taken, and takes it."""
        return fresh_name(wanted, self.names)

    def add_input(self, name: str, shape: Shape) -> Blob:
        param = LayerParameter(name=self.fresh(name), type="Input", top=[name])
        param.input_param.shape.add().dim.extend(shape)
        self.net.layer.append(param)
        return Blob(name, shape, len(self.net.layer) - 1)

    def add_constant(self, name: str, array: np.ndarray) -> Blob:
        """Adds numbers that nothing changes, as a Parameter layer."""
        settings = {"parameter_param": {"shape": {"dim": list(array.shape)}}}
        return self.add("Parameter", name, [], settings, [array])[0]

    def add(
        self, type: str, name: str, bottoms: Sequence[Blob], settings: Mapping[str, Any],
        blobs: Sequence[np.ndarray] = (), tops: int = 1, in_place: bool = False,
    ) -> list[Blob]:  # fmt: skip
        """Adds a layer; returns its tops. Raises Unreadable if the layer refuses the shapes."""
        if self.strict and type not in CAFFE_TYPES:
            raise Unreadable(f"it needs the layer {type}, which Caffe 1.0 does not have")
        x = bottoms[0] if bottoms else None
        made_by = self.net.layer[x.layer].type if x else ""
        shares = in_place and x is not None and x.uses == 1 and not x.is_view
        name = self.fresh(name)
        names = [name if index == 0 else self.fresh(f"{name}/{index}") for index in range(tops)]
        if shares and x is not None and made_by != "Input":
            names = [x.name]
        param = LayerParameter(
            name=name, type=type, bottom=[b.name for b in bottoms], top=names, **dict(settings)
        )
        arrays = [np.ascontiguousarray(blob, np.float32) for blob in blobs]
        shapes = self._inferred(param, bottoms, arrays)
        self.net.layer.append(param)
        if arrays:
            self.weights[name] = arrays
        if type not in CAFFE_TYPES:
            self.forks.setdefault(type, []).append(name)
        place, is_view = len(self.net.layer) - 1, type in _MEMORY_OF_BOTTOM
        return [
            Blob(top, shape, place, 1, is_view) for top, shape in zip(names, shapes, strict=True)
        ]

    def _inferred(
        self, param: LayerParameter, bottoms: Sequence[Blob], arrays: list[np.ndarray]
    ) -> list[Shape]:
        try:
            layer = create_layer(param)
            given = [blob.shape for blob in bottoms]
            shapes = layer.infer(given)
            wanted = [parameter.shape for parameter in layer.parameters(given)]
        except LayerError as error:
            raise Unreadable(f"as {param.type}: {error.message}") from None
        for number, shape in enumerate(wanted):
            if number >= len(arrays) or arrays[number].size != math.prod(shape):
                raise Unreadable(
                    f"as {param.type}: parameter {number} should be {shape_text(shape)}"
                )
            arrays[number] = arrays[number].reshape(shape)
        return shapes

    def prune(self, outputs: Iterable[str]) -> None:
        """Drops layers on which no output depends; silences the tops that nobody reads."""
        needed, kept = set(outputs), []
        for layer in reversed(self.net.layer):
            is_read = bool(needed & set(layer.top)) or layer.type == "Input"
            if is_read:
                needed.update(layer.bottom)
                kept.append(layer)
        made = {top for layer in kept for top in layer.top}
        silent = [
            layer for layer in self.net.layer
            if layer.type == "Silence" and made.issuperset(layer.bottom)
        ]  # fmt: skip
        read = needed | {name for layer in silent for name in layer.bottom}
        alive = {layer.name for layer in (*kept, *silent)}
        left = [layer for layer in self.net.layer if layer.name in alive]
        for layer in kept[::-1]:
            unread = [top for top in layer.top if top not in read]
            if unread:
                name = self.fresh(f"{layer.name}/unread")
                left.append(LayerParameter(name=name, type="Silence", bottom=unread))
        copies = [LayerParameter.FromString(layer.SerializeToString()) for layer in left]
        del self.net.layer[:]
        self.net.layer.extend(copies)
        self.weights = {name: blobs for name, blobs in self.weights.items() if name in alive}
        self.forks = {
            type: found for type, names in self.forks.items()
            if (found := [name for name in names if name in alive])
        }  # fmt: skip

    def rename(self, before: str, after: str) -> None:
        """Gives a blob another name wherever it is made and read."""
        for layer in self.net.layer:
            layer.bottom[:] = [after if name == before else name for name in layer.bottom]
            layer.top[:] = [after if name == before else name for name in layer.top]
        self.names.add(after)

    def owner(self, blob: Blob, *types: str) -> LayerParameter | None:
        """Returns the layer that made a blob which only one node reads, if it is one of these."""
        layer = self.net.layer[blob.layer]
        return layer if blob.uses == 1 and layer.type in types else None
