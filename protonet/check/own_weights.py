"""Weights that a layer's own text holds (`blobs`): they stand in for the fillers, as in Caffe.

Codes: E301 another number of blobs, E302 another shape.
"""

from __future__ import annotations

import dataclasses

from protonet.ir.blobs import BlobError, blob_in
from protonet.ir.protonet_pb2 import LayerParameter
from protonet.layers.base import LayerError, Parameter, shape_text

from .weights import shapes_agree

__all__ = ["with_own_weights"]


def with_own_weights(param: LayerParameter, parameters: list[Parameter]) -> list[Parameter]:
    """Returns the parameters with the values that the text holds; LayerError if they do not fit."""
    if not param.blobs:
        return parameters
    if len(param.blobs) != len(parameters):
        raise LayerError(
            f"{len(param.blobs)} blobs for {len(parameters)} parameters",
            field=("blobs", 0), code="E301", help="give one for each parameter, or none",
        )  # fmt: skip
    return [_with_values(param, number, wanted) for number, wanted in enumerate(parameters)]


def _with_values(param: LayerParameter, number: int, wanted: Parameter) -> Parameter:
    try:
        stored = blob_in(memoryview(param.blobs[number].SerializeToString()))
    except BlobError as error:
        raise LayerError(f"blob {number} {error}", field=("blobs", number), code="E302") from None
    if not shapes_agree(wanted.shape, stored.array.shape, stored.legacy):
        raise LayerError(
            f"parameter {number} is {shape_text(wanted.shape)}, "
            f"but this blob is {shape_text(stored.array.shape)}",
            field=("blobs", number), code="E302",
        )  # fmt: skip
    return dataclasses.replace(wanted, initial=stored.array.reshape(wanted.shape))
