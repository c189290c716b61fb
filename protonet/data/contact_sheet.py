"""A contact sheet: some images of a database in one."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .arrays import Array
from .pictures import Image
from .resize import resized

__all__ = ["contact_sheet"]

_GAP = 2  # pixels between images
_LONGEST_SIDE = 128


def contact_sheet(images: list[Image]) -> npt.NDArray[np.uint8]:
    """Returns a 3×H×W image, B, G, R, with these images in rows; large ones are made smaller."""
    shown = [_small(_color_bytes(image)) for image in images]
    height = max(image.shape[1] for image in shown) + _GAP
    width = max(image.shape[2] for image in shown) + _GAP
    columns = math.ceil(math.sqrt(len(shown) * height / width))
    rows = math.ceil(len(shown) / columns)
    sheet = np.full((3, rows * height + _GAP, columns * width + _GAP), 255, np.uint8)
    for index, image in enumerate(shown):
        top, left = index // columns * height + _GAP, index % columns * width + _GAP
        sheet[:, top : top + image.shape[1], left : left + image.shape[2]] = image
    return sheet


def _color_bytes(image: Image) -> Array:
    """Returns any C×H×W image as 3×H×W bytes; floats are spread over all grey values."""
    pixels: Array = image
    if image.dtype != np.uint8:
        least, greatest = float(image.min()), float(image.max())
        spread = 255 / (greatest - least) if greatest > least else 0.0
        pixels = ((image - least) * spread).astype(np.uint8)
    return pixels[:3] if len(pixels) >= 3 else np.repeat(pixels[:1], 3, axis=0)


def _small(image: Array) -> Array:
    longest = max(image.shape[1:])
    if longest <= _LONGEST_SIDE:
        return image
    height, width = (max(1, side * _LONGEST_SIDE // longest) for side in image.shape[1:])
    step = longest // _LONGEST_SIDE
    return resized(np.ascontiguousarray(image[:, ::step, ::step]), height, width)
