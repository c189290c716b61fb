"""Batches of windows cut out of images, some of objects and some of background."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .arrays import Array, Batch, array_in
from .chance import uniform_below
from .errors import DataError
from .image_list import read_file
from .mean import read_mean
from .pictures import Image, decode
from .resize import resized
from .window_list import WindowList

if TYPE_CHECKING:
    from protonet.ir.protonet_pb2 import LayerParameter

__all__ = ["WindowBatches", "WindowPlace", "window_place"]

_WHICH, _MIRROR = range(2)  # which of a window's draws


@dataclass(frozen=True, slots=True)
class WindowPlace:
    """The part of an image that a window shows, the size it is brought to, and where it then lies
    in the crop; what it does not cover is 0."""

    top: int
    bottom: int  # the last row
    left: int
    right: int
    height: int
    width: int
    rows_before: int
    columns_before: int


def window_place(
    window: npt.NDArray[np.float64],
    image_height: int,
    image_width: int,
    crop: int,
    context: int,
    square: bool,
    mirror: bool,
) -> WindowPlace:
    """Returns where a window x1 y1 x2 y2 is taken: widened so that `context` pixels of the crop
    surround it on each side, and to a square if asked for. (Caffe 1.0)"""
    left, top, right, bottom = (int(edge) for edge in window)
    if not context and not square:
        return WindowPlace(top, bottom, left, right, crop, crop, 0, 0)
    factor = crop / (crop - 2 * context)
    half_height, half_width = (bottom - top + 1) / 2, (right - left + 1) / 2
    middle_x, middle_y = left + half_width, top + half_height
    if square:
        half_height = half_width = max(half_height, half_width)
    left, right = _round(middle_x - half_width * factor), _round(middle_x + half_width * factor)
    top, bottom = _round(middle_y - half_height * factor), _round(middle_y + half_height * factor)
    scale_y, scale_x = crop / (bottom - top + 1), crop / (right - left + 1)
    above, before = max(0, -top), max(0, -left)
    below, after = max(0, bottom - image_height + 1), max(0, right - image_width + 1)
    top, bottom, left, right = top + above, bottom - below, left + before, right - after
    rows = _round(above * scale_y)
    columns = _round((after if mirror else before) * scale_x)
    height = min(_round((bottom - top + 1) * scale_y), crop - rows)
    width = min(_round((right - left + 1) * scale_x), crop - columns)
    return WindowPlace(top, bottom, left, right, height, width, rows, columns)


class WindowBatches:
    """Makes batches of windows drawn at random from position `start` on, background first."""

    def __init__(
        self,
        windows: WindowList,
        param: LayerParameter,
        dtype: np.dtype,
        start: int,
        key: int,
        cache: dict[str, bytes] | None,
    ) -> None:
        settings, transform = param.window_data_param, param.transform_param
        self._windows, self._dtype, self._start, self._key = windows, dtype, start, key
        self._size, self._crop = int(settings.batch_size), int(transform.crop_size)
        self._foreground = int(settings.batch_size * np.float32(settings.fg_fraction))
        self._context = int(settings.context_pad)
        self._square, self._mirror = settings.crop_mode == "square", transform.mirror
        self._scale, self._cache = settings.scale, cache
        self._mean: Array = np.zeros((1, 1, 1), np.float32)
        if transform.mean_value:
            self._mean = np.array(transform.mean_value, np.float32)[:, None, None]
        elif transform.mean_file:
            self._mean = _centre(read_mean(transform.mean_file), self._crop)

    def make(self, number: int, spare: Batch | None) -> Batch:
        first = self._start + number * self._size
        positions = np.arange(first, first + self._size)
        background = self._size - self._foreground
        parts = [self._windows.background] * background
        parts += [self._windows.foreground] * self._foreground
        sizes = np.array([len(part) for part in parts])
        chosen = uniform_below(sizes, self._key, positions, _WHICH)
        mirrors = np.zeros(self._size, bool)
        if self._mirror:
            mirrors = uniform_below(np.full(self._size, 2), self._key, positions, _MIRROR) == 1
        images = array_in(spare, 0, (self._size, 3, self._crop, self._crop), self._dtype)
        labels = array_in(spare, 1, (self._size,), self._dtype)
        images[...] = 0
        for index, (part, row) in enumerate(zip(parts, chosen.tolist(), strict=True)):
            self._cut(part[row], bool(mirrors[index]), images[index])
            labels[index] = part[row, 1]
        return [images, labels]

    def _cut(self, window: npt.NDArray[np.float64], mirror: bool, out: Array) -> None:
        """Sets `out` to one window."""
        path = self._windows.images[int(window[0])]
        image = self._image(path)
        height, width = image.shape[1:]
        place = window_place(
            window[2:], height, width, self._crop, self._context, self._square, mirror
        )
        if not (0 <= place.top <= place.bottom < height and 0 <= place.left <= place.right < width):
            x1, y1, x2, y2 = window[2:].astype(int).tolist()
            raise DataError(
                f"{self._windows.path}: {path}: the window {x1} {y1} {x2} {y2} is not inside the "
                f"image, {height}×{width}",
                code="E454",
            )
        if place.height < 1 or place.width < 1:
            return
        part = image[:, place.top : place.bottom + 1, place.left : place.right + 1]
        shown = resized(part, place.height, place.width)
        if mirror:
            shown = shown[:, :, ::-1]
        rows = slice(place.rows_before, place.rows_before + place.height)
        columns = slice(place.columns_before, place.columns_before + place.width)
        mean = self._mean if self._mean.shape[1] == 1 else self._mean[:, rows, columns]
        out[:, rows, columns] = (shown - mean) * np.asarray(self._scale, self._dtype)

    def _image(self, path: str) -> Image:
        content = self._cache.get(path) if self._cache is not None else None
        try:
            content = read_file(path) if content is None else content
            image = decode(content, "color")
        except DataError as error:
            told = error if error.code == "E450" else error.about(path)
            raise told.about(self._windows.path) from None
        if self._cache is not None:
            self._cache[path] = content
        return image

    def close(self) -> None:
        """Each file was closed when it was read."""


def _centre(mean: Array, crop: int) -> Array:
    """Returns the middle of a mean image."""
    if mean.shape[1] != mean.shape[2] or mean.shape[1] < crop or mean.shape[0] != 3:
        raise DataError(
            f"mean_file holds a mean of {'×'.join(map(str, mean.shape))}, "
            f"which is no square of 3×{crop}×{crop} or more",
            code="E454",
            field=("transform_param", "mean_file"),
        )
    offset = (mean.shape[1] - crop) // 2
    return mean[:, offset : offset + crop, offset : offset + crop]


def _round(value: float) -> int:
    """Rounds to the nearest whole number, halves away from 0."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))
