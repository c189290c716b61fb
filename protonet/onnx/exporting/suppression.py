"""Suppression by a threshold that sinks: a Loop, since NonMaxSuppression has one threshold."""

from __future__ import annotations

import numpy as np

from .place import Place
from .values import Value

__all__ = ["adaptive_suppression"]

_FLOAT, _INT64, _BOOL = 1, 7, 9
_LEAST_ADAPTED = 0.5  # the threshold sinks while it is above this (SSD's rule)


def adaptive_suppression(
    at: Place, boxes: Value, scores: Value, *, top_k: int, overlap: float, eta: float, least: float
) -> Value:
    """Returns image, class and prior of the boxes left, R×3, by image, class and falling score.

    boxes are N×C×P×4, scores N×C×P. One box after the other, best first, is left out if its
    overlap with one kept is above the threshold; each box kept multiplies that by eta.
    """
    values, order = at.ops("TopK", 2, scores, at.whole_numbers([top_k]), axis=2)
    valid = at.cast(values.above(least), "float")
    four = at.op("Expand", at.op("Unsqueeze", order, at.whole_numbers([3])), _times_four(at, order))
    ranked = at.op("GatherElements", boxes, four, axis=2)
    none = at.op("ConstantOfShape", order.op("Shape"))
    limits = at.reduce("ReduceMax", none, [2]) + overlap  # N×C×1
    body = _body(at, top_k, eta)
    rounds = np.array(top_k, np.int64)
    kept = at.ops("Loop", 4, rounds, None, none, limits, ranked, valid, body=body)[0]
    found = at.op("Transpose", at.op("NonZero", kept), perm=[1, 0])
    image, label, _ = at.split(found, [1, 1, 1], 1)
    prior = at.op("Unsqueeze", at.op("GatherND", order, found), at.whole_numbers([1]))
    return at.op("Concat", image, label, prior, axis=1)


def _times_four(at: Place, order: Value) -> Value:
    return at.op("Concat", order.op("Shape"), at.whole_numbers([4]), axis=0)


def _body(outer: Place, count: int, eta: float) -> object:
    """One round: judges the box of that rank by those kept, in all images and classes at once."""
    writer = outer.writer.inner()
    at = Place(writer, outer.layer, [], [])
    round_, goes_on, kept, limit, boxes, valid = given = [
        Value(writer, writer.fresh(f"{writer.prefix}/round")) for _ in range(6)
    ]
    rank = at.op("Reshape", round_, at.whole_numbers([1]))
    box = at.op("Gather", boxes, rank, axis=2)
    clash = kept * at.cast(_overlaps(at, boxes, box).above(limit), "float")
    judged = at.op("Gather", valid, rank, axis=2) * (1.0 - at.reduce("ReduceMax", clash, [2]))
    place = at.cast(at.op("Equal", np.arange(count).reshape(1, 1, count), rank), "float")
    sinks = (judged * at.cast(limit.above(_LEAST_ADAPTED), "float")).above(0.0)
    after = at.op("Where", sinks, limit * eta, limit)
    kinds = (_INT64, _BOOL, _FLOAT, _FLOAT, _FLOAT, _FLOAT)
    return writer.body(
        list(zip(given, kinds, strict=True)), [goes_on, kept + judged * place, after, boxes, valid]
    )


def _overlaps(at: Place, boxes: Value, box: Value) -> Value:
    """Intersection over union of each of N×C×K×4 with N×C×1×4."""
    low, high = at.split(boxes, [2, 2], 3)
    box_low, box_high = at.split(box, [2, 2], 3)
    inside = (at.op("Min", high, box_high) - at.op("Max", low, box_low)).op("Relu")
    common = _area(at, inside)
    union = _area(at, (high - low).op("Relu")) + _area(at, (box_high - box_low).op("Relu")) - common
    return at.op("Where", common.above(0.0), common / union, 0.0)


def _area(at: Place, sides: Value) -> Value:
    across, down = at.split(sides, [1, 1], 3)
    return at.op("Squeeze", across * down, at.whole_numbers([3]))
