"""Bilinear resizing of byte images as OpenCV's cv::resize does it, to the last bit.

Output pixel i lies at (i + 1/2) n/N − 1/2 of the n input pixels, between two of them, whose
weights are rounded to 1/2048; nothing is averaged beyond them when an image shrinks.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from protonet import kernels

from .arrays import Array
from .pictures import Image, Pictures

__all__ = ["resized"]


def resized(image: Image, height: int, width: int) -> Image:
    """Returns a C×H×W image of bytes as C×height×width."""
    if image.shape[1:] == (height, width):
        return image
    out = np.empty((image.shape[0], height, width), np.uint8)
    row, row_weight = _taps(image.shape[1], height, False)
    column, column_weight = _taps(image.shape[2], width, True)
    kernels.bilinear_resize(
        picture=Pictures.of([image]).places, y=out, planes=image.shape[0],
        height=image.shape[1], width=image.shape[2], out_height=height, out_width=width,
        row=row, row_weight=row_weight, column=column, column_weight=column_weight,
    )  # fmt: skip
    return out


@lru_cache(maxsize=256)
def _taps(size: int, wanted: int, whole_at_the_edge: bool) -> tuple[Array, Array]:
    """Returns which two of `size` pixels each output pixel lies between, and their weights · 2048.

    Beyond the first and last pixel OpenCV gives columns one pixel with all the weight, rows the
    same pixel twice; because it rounds each product down, that is not the same.
    """
    scale = 1.0 / (wanted / size)
    place = ((np.arange(wanted) + 0.5) * scale - 0.5).astype(np.float32)
    first = np.floor(place)
    share = place - first
    if whole_at_the_edge:
        share[(first < 0) | (first >= size - 1)] = 0
    sources = np.stack([first, first + 1], axis=1).astype(np.int32).clip(0, size - 1)
    weights = np.stack([np.float32(1) - share, share], axis=1) * np.float32(2048)
    return sources, np.rint(weights).astype(np.int32)
