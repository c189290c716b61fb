"""The map of a class over the image, as a picture."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from protonet.ir.files import FilePath, atomic_write

from .found_boxes import ScaledScores

__all__ = ["class_map", "overlay", "write_png"]

Array = npt.NDArray[Any]
# From low to high: dark blue, cyan, yellow, red (R, G, B).
_COLOURS = np.array([[0, 0, 96], [0, 160, 255], [255, 230, 0], [230, 0, 0]], np.float32)


def class_map(maps: list[ScaledScores], class_: int, height: int, width: int) -> Array:
    """Returns H×W scores of one class: between the windows' centres by interpolation, the largest
    of all scales."""
    best = np.full((height, width), -np.inf, np.float32)
    for found in maps:
        weights = []
        for axis, size in enumerate((height, width)):
            count = found.scores.shape[1 + axis]
            # The place of each pixel's centre, counted in windows.
            place = ((np.arange(size) + 0.5) * found.scale[axis] - found.window[axis] / 2) / (
                found.stride[axis]
            )
            weights.append(_between(place.clip(0, count - 1), count))
        np.maximum(best, weights[0] @ found.scores[class_] @ weights[1].T, out=best)
    return best


def _between(place: Array, count: int) -> Array:
    """Returns the matrix of linear interpolation at these places of `count` values."""
    first = np.minimum(place.astype(np.int64), max(count - 2, 0))
    share = (place - first).astype(np.float32)
    matrix = np.zeros((place.size, count), np.float32)
    rows = np.arange(place.size)
    matrix[rows, first] = 1 - share
    if count > 1:
        matrix[rows, first + 1] = share
    return matrix


def overlay(pixels: Array, scores: Array, opacity: float = 0.5) -> Array:
    """Returns H×W×3 bytes (R, G, B): C×H×W pixels (B, G, R, or grey) under the colours of H×W
    scores. Scores from 0 to 1 are coloured as they are, others from their least to their most."""
    low, high = float(scores.min()), float(scores.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    level = (scores - low) / max(high - low, 1e-12) * (len(_COLOURS) - 1)
    steps = np.arange(len(_COLOURS))
    colours = np.stack([np.interp(level, steps, _COLOURS[:, c]) for c in range(3)], axis=-1)
    picture = np.broadcast_to(pixels[::-1], (3, *pixels.shape[1:])).transpose(1, 2, 0)
    return np.rint(picture * (1 - opacity) + colours * opacity).astype(np.uint8)


def write_png(path: FilePath, picture: Array) -> None:
    """Writes H×W×3 bytes as a PNG file, whole or not at all."""
    from PIL import Image

    made = io.BytesIO()
    Image.fromarray(picture).save(made, "PNG")
    with atomic_write(path) as stream:
        stream.write(made.getbuffer())
