"""The size of the image that a net takes."""

from __future__ import annotations

from collections.abc import Sequence

from protonet.ir.protonet_pb2 import LayerParameter
from protonet.layers.base import Shape, shape_text
from protonet.prototxt.diagnostics import Error

from .trained_net import TrainedNet

__all__ = ["image_input", "resize_input"]


def image_input(trained: TrainedNet) -> tuple[str, Shape]:
    """Returns name and shape of the blob that takes an image. Raises Error if there is none."""
    layer, top = _image_layer(trained)
    shapes = layer.input_param.shape
    return layer.top[top], tuple(shapes[min(top, len(shapes) - 1)].dim)


def _image_layer(trained: TrainedNet) -> tuple[LayerParameter, int]:
    for layer in trained.net.layer:
        if layer.type == "Input":
            for top in range(len(layer.top)):
                shapes = layer.input_param.shape
                shape = shapes[min(top, len(shapes) - 1)] if shapes else None
                if shape is not None and len(shape.dim) >= 4:
                    return layer, top
    raise Error(
        "the net has no Input layer that takes an image: make a net for use of one for training "
        "with `protonet surgery deploy`"
    )


def resize_input(
    trained: TrainedNet, size: Sequence[int], *, batch: int | None = None, note: bool = True
) -> None:
    """Gives the image that the net takes another size H×W, and another batch if that is given."""
    layer, top = _image_layer(trained)
    shapes = layer.input_param.shape
    if len(shapes) == 1 and len(layer.top) > 1:  # one shape for all: each gets its own
        for _ in layer.top[1:]:
            shapes.add().CopyFrom(shapes[0])
    dims = shapes[top].dim
    dims[len(dims) - len(size) :] = size
    if batch is not None:
        dims[0] = batch
    if note:
        trained.changes.append(f'input "{layer.top[top]}" is {shape_text(tuple(dims))}')
