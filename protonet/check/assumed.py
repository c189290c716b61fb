"""What a data layer's settings tell of its shapes when the data is not on this machine."""

from __future__ import annotations

from typing import Any

from protonet.ir.protonet_pb2 import LayerParameter
from protonet.layers.base import Shape

__all__ = ["assumed_shapes"]

_SETTINGS = {
    "Data": "data_param",
    "ImageData": "image_data_param",
    "ImageFolder": "image_data_param",
    "DenseImageData": "dense_image_data_param",
    "ImageSegData": "image_data_param",
}
_LABEL_IMAGES = ("DenseImageData", "ImageSegData")
_RESIZED = ("ImageData", "ImageFolder", *_LABEL_IMAGES)
_COLOURS = 3


def assumed_shapes(param: LayerParameter) -> list[Shape | None]:
    """Returns the tops' shapes of a layer of images and labels as far as its settings fix them.

    A crop fixes height and width, batch_size the batch; images are taken to be in colour
    unless they are turned to gray. None for a top that nothing is known of.
    """
    unknown: list[Shape | None] = [None] * len(param.top)
    if param.type not in _SETTINGS or not 1 <= len(param.top) <= 3:
        return unknown
    settings: Any = getattr(param, _SETTINGS[param.type])
    transform = param.transform_param
    if not settings.batch_size:
        return unknown
    dense = param.type in _LABEL_IMAGES
    rest: list[Shape | None] = [(settings.batch_size, 1, 1, 2)]  # ImageSegData: the sizes
    labels: Shape | None = None if dense else (settings.batch_size,)
    height = width = transform.crop_size
    if not height and param.type in _RESIZED:
        height, width = settings.new_height, settings.new_width
    if not (height and width):
        return [None, labels, *rest][: len(param.top)]
    if dense:
        factor = settings.label_divide_factor or 1
        labels = (settings.batch_size, 1, height // factor, width // factor)
    gray = transform.force_gray or (param.type in _RESIZED and not settings.is_color)
    images: Shape = (settings.batch_size, 1 if gray else _COLOURS, height, width)
    shapes: list[Shape | None] = [images, labels, *rest]
    return shapes[: len(param.top)]
