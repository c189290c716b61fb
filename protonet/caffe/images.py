"""Pictures as pycaffe's scripts have them: H×W×C float32, R, G, B, from 0 to 1."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import CaffeError

__all__ = ["load_image", "oversample", "resize_image"]

Array = npt.NDArray[Any]
_LUMINANCE = np.array([0.2125, 0.7154, 0.0721])  # of R, G, B in ITU-R BT.709


def load_image(filename: str | os.PathLike[str], color: bool = True) -> Array:
    """Reads a picture as H×W×3, or H×W×1 if not `color`; OSError if it cannot be read."""
    pixels = _pixels(filename)
    if pixels.ndim == 3 and not color:
        pixels = pixels @ _LUMINANCE
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, np.newaxis], 3 if color else 1, axis=2)
    return pixels.astype(np.float32)


def _pixels(filename: str | os.PathLike[str]) -> Array:
    """Reads H×W or H×W×3 from 0 to 1."""
    from PIL import Image

    with Image.open(filename) as image:
        if image.mode.startswith("I;16"):
            return np.asarray(image).astype(np.float64) / 65535
        mode = {"1": "L", "L": "L", "LA": "L", "La": "L"}.get(image.mode, "RGB")
        return np.asarray(image.convert(mode)).astype(np.float64) / 255


def resize_image(im: Array, new_dims: Sequence[float] | Array, interp_order: int = 1) -> Array:
    """Resizes H×W×C to new_dims×C, float32, between neighbouring pixels, averaging nothing.

    Order 0 takes the nearest pixel, 1 is bilinear, 2 to 5 are splines (these need SciPy). With 1
    or 3 channels pixels are areas, and what lies outside has the picture's lowest value; otherwise
    they are points, and corners lie on corners. (scikit-image and SciPy as pycaffe calls them)
    """
    size = (round(new_dims[0]), round(new_dims[1]))
    lowest = im.min()
    values: Array = im.astype(np.float64) - lowest
    areas = im.shape[-1] in (1, 3)
    if interp_order > 1:
        resized = _spline(values, size, interp_order, areas)
    else:
        resized = _taken(values, 0, size[0], interp_order, areas)
        resized = _taken(resized, 1, size[1], interp_order, areas)
    return np.asarray(resized + lowest, np.float32)


def _taken(values: Array, axis: int, wanted: int, order: int, areas: bool) -> Array:
    """Resizes one axis; what is outside counts as 0."""
    size = values.shape[axis]
    if areas:
        place = (np.arange(wanted) + 0.5) * (size / wanted) - 0.5
    else:
        place = np.arange(wanted) * ((size - 1) / max(wanted - 1, 1))
    if order == 0:
        nearest = np.floor(place + 0.5).astype(int).clip(0, size - 1)
        near: Array = values.take(nearest, axis)
        return near
    first = np.floor(place).astype(int)
    share = place - first
    total: Array = np.zeros(1)
    column = (-1, *[1] * (values.ndim - 1 - axis))
    for index, weight in ((first, 1 - share), (first + 1, share)):
        inside = (index >= 0) & (index < size)
        taken = values.take(index.clip(0, size - 1), axis)
        total = total + taken * (weight * inside).reshape(column)
    return total


def _spline(values: Array, size: tuple[int, int], order: int, areas: bool) -> Array:
    try:
        from scipy import ndimage
    except ImportError:
        raise CaffeError(
            f"interp_order {order} needs SciPy: pip install 'protonet[images]'"
        ) from None
    scale = (size[0] / values.shape[0], size[1] / values.shape[1], 1)
    # With "constant" a last point that rounding takes past the edge would be nothing.
    resized: Array = ndimage.zoom(
        values, scale, order=order, grid_mode=areas, mode="grid-constant" if areas else "mirror"
    )
    return resized.clip(0, values.max()) if areas else resized


def oversample(images: Sequence[Array], crop_dims: Sequence[int] | Array) -> Array:
    """Cuts ten pieces of each H×W×C picture: four corners, the centre, and their mirror images.

    Returns 10M×h×w×C float32 for M pictures, the ten of one after those of another. Raises
    CaffeError if a piece is larger than the picture.
    """
    height, width = (int(size) for size in crop_dims)
    rows, columns, channels = np.shape(images[0])
    if height > rows or width > columns:
        raise CaffeError(f"pieces of {height}×{width} do not fit a picture of {rows}×{columns}")
    centre = (int(rows / 2 - height / 2), int(columns / 2 - width / 2))
    corners = [(top, left) for top in (0, rows - height) for left in (0, columns - width)]
    crops = np.empty((len(images), 2, 5, height, width, channels), np.float32)
    for number, image in enumerate(images):
        for place, (top, left) in enumerate([*corners, centre]):
            crops[number, 0, place] = image[top : top + height, left : left + width]
    crops[:, 1] = crops[:, 0, :, :, ::-1]
    return crops.reshape(-1, height, width, channels)
