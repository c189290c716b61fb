"""Pixels picked by row and column: repeated, cut off, mirrored, padded."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from protonet import kernels
from protonet.blob import Blob

from .base import Layer, Shape

__all__ = ["PickedPixels"]


class PickedPixels(Layer):
    """y[h, w] = x[row[h], column[w]] in the last two axes, `fill` where an index is −1.

    What a subclass tells are the indices. Gradient: the sum of the dy of a pixel's copies.
    """

    fill = 0.0

    def indices(self, size: Shape, out: Shape) -> tuple[np.ndarray, np.ndarray]:
        """Returns row and column (int32), as long as `out`, for a plane of `size`."""
        raise NotImplementedError

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        size, out = _plane(bottom[0].shape), _plane(top[0].shape)
        row, column = self.indices(size, out)
        self.pixels: dict[str, Any] = {
            "row": row, "column": column, "planes": math.prod(bottom[0].shape[:-2]),
            "height": size[0], "width": size[1], "out_height": out[0], "out_width": out[1],
            "fill": self.fill,
        }  # fmt: skip

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.pick_pixels(x=bottom[0].data, y=top[0].data, **self.pixels)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.pick_pixels_backward(shape=self.pixels, dy=top[0].diff, dx=bottom[0].diff)


def _plane(shape: Shape) -> tuple[int, int]:
    """Returns the last two sizes; what a blob lacks counts as 1."""
    height, width = (1, 1, *shape)[-2:]
    return height, width
