"""Where the pixels of a resized axis lie in the original: the rules that tools differ in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from .base import LayerError, Shape, shape_text

__all__ = ["Rule", "judge_pixels", "linear_weights", "nearest", "positions", "taps"]

Rule = Literal["corners", "centers", "origin"]


def judge_pixels(shape: Shape, out: Shape, bottom: int = 0) -> None:
    """Raises LayerError if pixels are wanted from a bottom whose last two axes have none."""
    if 0 in shape[-2:] and 0 not in out[-2:]:
        raise LayerError(f"{shape_text(shape)} has no pixels to take values from", bottom=bottom)


def positions(size: int, out: int, rule: Rule) -> np.ndarray:
    """Returns for each of `out` pixels where it lies on an axis of `size` pixels (float64).

    corners: the first and last pixels' centres meet: i (size − 1) / (out − 1), 0 if out is 1;
    centers: the borders meet: (i + ½) size / out − ½, within 0 … size − 1;
    origin:  the first centres meet: i · size / out, within 0 … size − 1.
    """
    i = np.arange(out, dtype=np.float64)
    step = size / max(1, out)
    if rule == "corners":
        at = i * ((size - 1) / max(1, out - 1))
    else:
        at = (i + 0.5) * step - 0.5 if rule == "centers" else i * step
    return at.clip(0, max(0, size - 1))


def linear_weights(size: int, out: int, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """Returns the two neighbours of each pixel (int32, out×2) and the weight of the second."""
    at = positions(size, out, rule)
    # Rounding must not take the last pixel past the end.
    first = np.minimum(np.floor(at + 1e-9), max(0, size - 1)).astype(np.int32)
    second = np.minimum(first + 1, max(0, size - 1)).astype(np.int32)
    return np.stack([first, second], axis=1), np.maximum(at - first, 0)


def nearest(size: int, out: int, rule: Rule) -> np.ndarray:
    """Returns the index of the pixel that each of `out` pixels shows (int32): the one at or before
    its position (origin), or the one closest to it, of two the later."""
    at = positions(size, out, rule)
    whole = np.floor(at + 1e-9) if rule == "origin" else np.floor(at + 0.5 + 1e-9)
    return np.minimum(whole, max(0, size - 1)).astype(np.int32)


def taps(
    size: int, at: np.ndarray, reach: int, weigh: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns for each position `at` on an axis of `size` pixels the first of the pixels that take
    part (int32) and their weights: weigh(at − pixel) for those up to `reach` from the closest."""
    middle = np.floor(at + 0.5)

    def weights(first: np.ndarray, count: int) -> np.ndarray:
        pixels = first[:, None] + np.arange(count)
        return np.where(abs(pixels - middle[:, None]) <= reach, weigh(at[:, None] - pixels), 0)

    count = min(size, 2 * reach + 1)
    first = (middle - reach).clip(0, size - count)
    counts = weights(first, count) != 0
    if not counts.any():
        return first.astype(np.int32), np.zeros((len(at), count))
    # As few as all positions can do with: two of five where a triangle makes the axis longer.
    start, end = counts.argmax(axis=1), count - counts[:, ::-1].argmax(axis=1)
    count = int(np.where(counts.any(axis=1), end - start, 0).max())
    first = np.minimum(first + start, size - count)
    return first.astype(np.int32), weights(first, count)
