"""Choosing boxes: what the layers that end in rows of boxes share."""

from __future__ import annotations

import numpy as np

from .place import Place
from .values import Value

__all__ = ["LOWEST", "best_scores", "picked", "rows_or_none", "suppressed"]

LOWEST = float(np.finfo(np.float32).min)
"""The score that every number is above."""


def best_scores(at: Place, scores: Value, top_k: int, priors: int) -> Value:
    """Lowers all scores of an image and class but its top_k best; scores are N×C×P."""
    if top_k < 0 or top_k >= priors:
        return scores
    values, indices = at.ops("TopK", 2, scores, at.whole_numbers([top_k]), axis=2)
    nothing = at.op("Expand", np.full(1, -np.inf, np.float32), scores.op("Shape"))
    return at.op("ScatterElements", nothing, indices, values, axis=2)


def suppressed(
    at: Place, boxes: Value, scores: Value, *, most: int, overlap: float, least: float
) -> Value:
    """Returns image and number of the boxes (N×P×4) that suppression leaves, R×2, by image and
    falling score; scores are N×1×P."""
    limits = (at.whole_numbers([most]), np.array([overlap], np.float32),
              np.array([least], np.float32))  # fmt: skip
    found = at.op("NonMaxSuppression", boxes, scores, *limits)
    image, _, number = at.split(found, [1, 1, 1], 1)
    return at.op("Concat", image, number, axis=1)


def picked(at: Place, values: Value, found: Value) -> Value:
    """Returns the values (N×P…) of chosen boxes, R×…"""
    return at.op("GatherND", values, found)


def rows_or_none(at: Place, rows: Value) -> Value:
    """Returns the rows, or one for each image that says that nothing was found."""
    images = at.slice(at.op("Shape", at.x), [0], [1], [0])
    scalar = at.op("Squeeze", images)
    numbers = at.op("Range", np.array(0, np.int64), scalar, np.array(1, np.int64))
    empty = at.op("Expand", np.full((1, 6), -1, np.float32), at.op(
        "Concat", images, at.whole_numbers([1]), axis=0))  # fmt: skip
    first = at.cast(at.op("Unsqueeze", numbers, at.whole_numbers([1])), "float")
    none = at.op("Concat", first, empty, axis=1)
    count = at.slice(rows.op("Shape"), [0], [1], [0])
    shown = at.op("Where", count.op("Greater", at.whole_numbers([0])), count, images)
    both = at.op("Concat", rows, none, axis=0)
    return at.op("Slice", both, at.whole_numbers([0]), shown, at.whole_numbers([0]))
