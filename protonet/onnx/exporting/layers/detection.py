"""SSD's boxes: priors, and what is left of the predictions after suppression."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np

from protonet.ir.protonet_pb2 import PriorBoxParameter
from protonet.layers.boxes import count_priors
from protonet.layers.detection_output import DetectionOutput, GridDetectionOutput
from protonet.layers.prior_box import PriorBox

from ..choosing import best_scores, rows_or_none
from ..place import Inexpressible, Place
from ..registry import writes
from ..suppression import adaptive_suppression
from ..values import Value
from .proposals import yolo_detection_output

_LOWEST = float(np.finfo(np.float32).min)


@writes("PriorBox")
def prior_box(at: Place) -> Value:
    """A constant."""
    for bottom in at.bottoms:
        for size in bottom.dims[2:]:
            at.fixed(size, "the plane")
    return at.writer.constant(cast(PriorBox, at.layer).priors)


def _decoded(at: Place, layer: DetectionOutput, priors: int) -> Value:
    """Returns the boxes, N×P×L×4."""
    n = at.x.dims[0]
    offsets = at.reshape(at.x, (n, priors, layer.locations, 4))
    both = at.reshape(at.bottoms[2], (2, priors, 1, 4))
    prior, variance = at.split(both, [1, 1], 0)
    if not layer.code.in_target:
        offsets = offsets * variance
    kind = PriorBoxParameter.CodeType.Name(cast(Any, layer.code.kind))
    if kind == "CORNER":
        return prior + offsets
    low, high = at.split(prior, [2, 2], 3)
    size = high - low
    near, far = at.split(offsets, [2, 2], 3)
    if kind == "CORNER_SIZE":
        return at.op("Concat", low + near * size, high + far * size, axis=3)
    centre, half = (low + high) * 0.5 + near * size, far.op("Exp") * size * 0.5
    return at.op("Concat", centre - half, centre + half, axis=3)


@writes("DetectionOutput")
def detection_output(at: Place) -> Value:
    """NonMaxSuppression (a Loop where eta lowers the threshold at each box), with TopK, GatherND,
    ScatterND, Compress around it."""
    if isinstance(at.layer, GridDetectionOutput):
        return cast(Value, yolo_detection_output(at))
    layer = cast(DetectionOutput, at.layer)
    settings = layer.settings
    n, priors = at.x.dims[0], count_priors(tuple(map(int, at.bottoms[2].dims)), 2)
    classes = [c for c in range(layer.classes) if c != settings.background_label_id]
    if not classes:
        raise Inexpressible(
            "the background is its only class", ("detection_output_param", "num_classes")
        )
    chosen = at.whole_numbers(classes)
    boxes = _decoded(at, layer, priors)  # N×P×L×4
    table = at.reshape(at.bottoms[1], (n, priors, layer.classes))
    scores = at.op("Gather", at.op("Transpose", table, perm=[0, 2, 1]), chosen, axis=1)
    found = _selected(at, layer, boxes, scores, len(classes), priors)  # R×3: image, class, prior
    if settings.keep_top_k >= 0:
        found = _kept(at, found, scores, settings.keep_top_k, len(classes) * priors)
    image, index, prior = at.split(found, [1, 1, 1], 1)
    label = at.op("Gather", chosen, index)
    box = boxes.op("Transpose", perm=[0, 2, 1, 3])  # N×L×P×4
    place = label if layer.locations > 1 else index.op("Mul", at.whole_numbers([0]))
    at_box = at.op("Concat", image, place, prior, axis=1)
    score = at.op("Unsqueeze", at.op("GatherND", scores, found), at.whole_numbers([1]))
    rows = at.op(
        "Concat", at.cast(image, "float"), at.cast(label, "float"), score,
        at.op("GatherND", box, at_box), axis=1,
    )  # fmt: skip
    return at.op("Unsqueeze", rows_or_none(at, rows), at.whole_numbers([0, 1]))


def _selected(
    at: Place, layer: DetectionOutput, boxes: Value, scores: Value, classes: int, priors: int
) -> Value:
    """Returns image, class and prior of what suppression leaves, class by class."""
    n, rule = at.x.dims[0], layer.rule
    low, high = at.split(boxes, [2, 2], 3)
    sound = at.op("Concat", low, at.op("Max", low, high), axis=3)  # a box turned over has no area
    least = _LOWEST if math.isinf(rule.least_score) else float(rule.least_score)
    if rule.eta < 1:
        if layer.locations == 1:
            shared = at.op("Transpose", sound, perm=[0, 2, 1, 3])
            each = at.op("Expand", shared, at.whole_numbers([1, classes, 1, 1]))
        else:
            each = _of_each_class(at, layer, sound)
        top_k = priors if rule.top_k < 0 else min(rule.top_k, priors)
        return adaptive_suppression(
            at, each, scores, top_k=top_k, overlap=float(rule.overlap), eta=float(rule.eta),
            least=least,
        )  # fmt: skip
    best = best_scores(at, scores, rule.top_k, priors)
    limits = (at.whole_numbers([priors]), np.array([rule.overlap], np.float32),
              np.array([least], np.float32))  # fmt: skip
    if layer.locations == 1:
        shared = at.reshape(sound, (n, priors, 4))
        return at.op("NonMaxSuppression", shared, best, *limits)
    # Each class has boxes of its own: class by class is then image by image.
    each = at.op("Reshape", _of_each_class(at, layer, sound), at.whole_numbers([-1, priors, 4]))
    lone = at.op("Reshape", best, at.whole_numbers([-1, 1, priors]))
    found = at.op("NonMaxSuppression", each, lone, *limits)
    both, _, prior = at.split(found, [1, 1, 1], 1)
    number = at.whole_numbers([classes])
    return at.op("Concat", both.op("Div", number), both.op("Mod", number), prior, axis=1)


def _of_each_class(at: Place, layer: DetectionOutput, boxes: Value) -> Value:
    """Returns the boxes of the classes that are looked for, N×C×P×4."""
    wanted = [c for c in range(layer.classes) if c != layer.settings.background_label_id]
    each = at.op("Transpose", boxes, perm=[0, 2, 1, 3])
    return at.op("Gather", each, at.whole_numbers(wanted), axis=1)


def _kept(at: Place, found: Value, scores: Value, keep: int, most: int) -> Value:
    """Returns the rows of `found` that are among the `keep` best of their image."""
    if keep >= most:
        return found
    nothing = at.op("Expand", np.full(1, -np.inf, np.float32), scores.op("Shape"))
    left = at.op("ScatterND", nothing, found, at.op("GatherND", scores, found))
    flat = left.op("Flatten", axis=1)
    _, best = at.ops("TopK", 2, flat, at.whole_numbers([keep]), axis=1)
    ones = at.op("Expand", np.ones(1, np.float32), best.op("Shape"))
    none = at.op("ConstantOfShape", flat.op("Shape"))
    marks = at.op("ScatterElements", none, best, ones, axis=1)
    chosen = at.op("GatherND", at.op("Reshape", marks, scores.op("Shape")), found)
    return at.op("Compress", found, at.cast(chosen, "bool"), axis=0)
