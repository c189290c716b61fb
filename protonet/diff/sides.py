"""One of two nets that are compared: a prototxt with or without weights, weights, or ONNX."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from protonet.check.inputs import summary_graph
from protonet.ir.document import Document, read_net_document
from protonet.ir.protonet_pb2 import LayerParameter, NetParameter
from protonet.ir.weights import read_weights
from protonet.layers.base import Shape
from protonet.layers.registry import layer_class
from protonet.net import Net
from protonet.prototxt.diagnostics import Error
from protonet.surgery.trained_net import TrainedNet

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["Side", "read_side"]

_WEIGHTS = (".caffemodel", ".h5", ".hdf5")


@dataclass
class Side:
    """What is known of a net: layers and parameters by layer, shapes by blob, and how it runs."""

    file: str
    kind: str  # "net", "weights" or "onnx"
    layers: dict[str, LayerParameter] = field(default_factory=dict)
    parameters: dict[str, list[np.ndarray]] = field(default_factory=dict)
    parameter_shapes: dict[str, list[Shape]] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    inputs: dict[str, Shape] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    document: Document[NetParameter] | None = None
    model: ModelProto | None = None
    values: dict[str, str] = field(default_factory=dict)  # blob → value of the ONNX model
    has_weights: bool = False
    cannot_run: str = ""  # and why
    not_read: str = ""  # why the layers of an ONNX model are not known

    def __post_init__(self) -> None:
        self.settle()

    def settle(self) -> None:
        """Notes the shapes of the parameters that are there."""
        for name, arrays in self.parameters.items():
            self.parameter_shapes[name] = [array.shape for array in arrays]

    def net(self) -> Net:
        """Returns the net with its parameters; without any, with the same ones each time."""
        assert self.document is not None
        net = Net(self.document, seed=0)
        for name, arrays in self.parameters.items():
            for blob, array in zip(net.params.get(name, ()), arrays, strict=False):
                if blob.count == array.size:
                    blob.data[...] = array.reshape(blob.shape)
        return net


def read_side(
    path: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    *,
    batch: int = 1,
    size: Sequence[int] = (),
) -> Side:
    """Reads a net; the suffix tells what it is: .onnx, .caffemodel, .h5, else prototxt.

    `weights` are those of a prototxt. `batch` and `size` stand for what an ONNX model leaves
    open; `size` is that of a prototxt's first input, too. Raises Error.
    """
    file = os.fspath(path)
    if file.endswith(".onnx"):
        return _onnx_side(file, batch, size)
    if file.endswith(_WEIGHTS):
        return _weights_side(file)
    return _net_side(file, weights, size)


def _weights_side(file: str) -> Side:
    side = Side(file, "weights", has_weights=True)
    side.cannot_run = f"{file} has weights only: compare it with a prototxt"
    for layer in read_weights(file).layers:
        blobs = [blob for blob in layer.blobs if blob is not None]
        if blobs:
            side.layers.setdefault(layer.name, LayerParameter(name=layer.name, type=layer.type))
            side.parameters.setdefault(layer.name, blobs)
    side.settle()
    return side


def _net_side(file: str, weights: str | os.PathLike[str] | None, size: Sequence[int]) -> Side:
    document = read_net_document(file)
    graph = summary_graph(file, sizes=size or None)
    side = Side(file, "net", document=document, has_weights=weights is not None)
    for layer in document.message.layer:
        name, number = layer.name, 1
        while name in side.layers:  # as a net that trains has one for each phase
            number += 1
            name = f"{layer.name} ({number})"
        side.layers[name] = layer
    trained = TrainedNet(document.message, document.source)
    if weights is not None:
        side.parameters = dict(trained.with_weights(read_weights(weights)).blobs)
    for node in graph.nodes:
        if node.parameters:
            side.parameter_shapes[node.param.name] = [wanted.shape for wanted in node.parameters]
        for top, shape in zip(node.tops, node.top_shapes, strict=True):
            if shape is not None:
                side.shapes[graph.blob_names[top]] = shape
    side.inputs = {name: side.shapes.get(name, ()) for name in graph.inputs}
    side.outputs = list(graph.outputs)
    if size and side.inputs:
        _resize(document.message, side.inputs)
    if any((found := layer_class(node.param.type)) and found.is_data for node in graph.nodes):
        side.cannot_run = f"{file} has data layers of its own: compare nets for use (deploy)"
    return side


def _resize(net: NetParameter, inputs: dict[str, Shape]) -> None:
    for layer in net.layer:
        for number, name in enumerate(layer.top if layer.type == "Input" else ()):
            if name in inputs and layer.input_param.shape:
                shape = layer.input_param.shape[min(number, len(layer.input_param.shape) - 1)]
                shape.dim[:] = inputs[name]


def _onnx_side(file: str, batch: int, size: Sequence[int]) -> Side:
    from protonet.onnx.importing.net import import_model
    from protonet.onnx.importing.reading import read_model

    model = read_model(file)
    side = Side(file, "onnx", model=model, has_weights=True)
    try:
        found = import_model(model, file, batch=batch, size=size)
    except Error as error:
        side.not_read = error.diagnostics[0].message
        _note_values(side, model, batch)
        return side
    side.layers = {layer.name: layer for layer in found.net.layer}
    side.parameters = found.weights
    side.inputs, side.values = found.inputs, found.values
    side.outputs = list(found.outputs.values())
    side.settle()
    return side


def _note_values(side: Side, model: ModelProto, batch: int) -> None:
    """Takes inputs, outputs and constants from the graph itself, which no net stands for."""
    from protonet.onnx.importing.reading import tensor_array

    for tensor in model.graph.initializer:
        side.parameters[tensor.name] = [tensor_array(tensor, side.file)]
    side.settle()
    for value in model.graph.input:
        if value.name not in side.parameters:
            dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            side.inputs[value.name] = tuple(
                size or (batch if axis == 0 else 0) for axis, size in enumerate(dims)
            )
    side.outputs = [value.name for value in model.graph.output]
    if any(0 in shape for shape in side.inputs.values()):
        side.cannot_run = f"{side.file}: {side.not_read}"
