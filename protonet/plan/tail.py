"""Tail: the layers that Python runs on every pass, as what they make may change its shape."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from protonet.blob import Blob
from protonet.layers.base import Layer, LayerError
from protonet.prototxt.diagnostics import Error
from protonet.recorded_pass import RecordedPass

from .program import Operation, Value

__all__ = ["Tail", "judged", "shaped_layer"]


class Tail:
    """Operations run in order, layers of their own over blobs whose shapes may change."""

    def __init__(self, operations: Sequence[Operation], blob_of: Callable[[Value], Blob]) -> None:
        self._parts = [shaped_layer(operation, blob_of) for operation in operations]
        self._known = [[blob.shape for blob in top] for _, _, top in self._parts]
        dynamic = [layer.dynamic for layer, _, _ in self._parts]
        self._pass = RecordedPass(dynamic, 1, self._step)

    def run(self) -> None:
        """Runs all; what they made lies in their blobs."""
        self._pass.run(0, len(self._parts) - 1)
        for layer, bottom, _ in self._parts:
            judged(layer, bottom)

    def _step(self, index: int) -> None:
        layer, bottom, top = self._parts[index]
        if layer.dynamic:
            _begin_in_place(layer, bottom, top)
        try:
            layer.forward(bottom, top)
        except LayerError as error:
            raise _placed(layer, error) from None
        shapes = [blob.shape for blob in top]
        if layer.dynamic and shapes != self._known[index]:
            self._known[index] = shapes
            self._reshape_from(index + 1)

    def _reshape_from(self, start: int) -> None:
        for index in range(start, len(self._parts)):
            layer, bottom, top = self._parts[index]
            self._pass.forget(index)
            try:
                shapes = layer.infer([blob.shape for blob in bottom])
            except LayerError as error:
                raise _placed(layer, error) from None
            for blob, shape in zip(top, shapes, strict=True):
                blob.reshape(*shape)
            layer.reshape(bottom, top)
            self._known[index] = shapes


def _begin_in_place(layer: Layer, bottom: list[Blob], top: list[Blob]) -> None:
    """Gives tops of a bottom's name its values: a user's layer may change some of them only."""
    names = zip(layer.param.bottom, layer.param.top, strict=False)
    for position, (given, made) in enumerate(names):
        if given == made:
            top[position].reshape_like(bottom[position])
            top[position].data[...] = bottom[position].data


def judged(layer: Layer, bottom: list[Blob]) -> None:
    """Raises an Error if the layer's pass met values that cannot be."""
    try:
        layer.judge(bottom)
    except LayerError as error:
        raise _placed(layer, error) from None


def _placed(layer: Layer, error: LayerError) -> Error:
    return Error(f'layer "{layer.name}" ({layer.type}): {error.message}')


def shaped_layer(
    operation: Operation, blob_of: Callable[[Value], Blob]
) -> tuple[Layer, list[Blob], list[Blob]]:
    """Returns a layer of its own for an operation, with its blobs, ready to run."""
    model = operation.layer
    layer = type(model)(model.param, model.phase)
    layer.random = copy.deepcopy(model.random)
    bottom = [blob_of(value) for value in operation.inputs]
    top = [blob_of(value) for value in operation.outputs]
    layer.infer([blob.shape for blob in bottom])
    for array in operation.weights:
        blob = Blob(array.shape, array.dtype)
        blob.place_data(array)
        layer.blobs.append(blob)
    layer.param_propagate_down = [False] * len(layer.blobs)
    layer.reshape(bottom, top)
    return layer, bottom, top
