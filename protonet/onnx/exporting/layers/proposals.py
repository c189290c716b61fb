"""Boxes proposed around anchors: Faster R-CNN's regions and YOLO v2's detections."""

from __future__ import annotations

from typing import cast

import numpy as np

from protonet.layers.proposal import Proposal
from protonet.layers.yolo_detection_output import YoloDetectionOutput

from ..choosing import LOWEST, best_scores, picked, rows_or_none, suppressed
from ..place import Place
from ..registry import writes
from ..values import Value


def _positions(at: Place, x: Value) -> tuple[int, int]:
    height, width = (at.fixed(size, "the plane") for size in x.dims[2:])
    return int(height), int(width)


@writes("Proposal")
def proposal(at: Place) -> list[Value]:
    """Exp, Min, Max for the boxes; TopK, NonMaxSuppression, GatherND for the choice."""
    layer = cast(Proposal, at.layer)
    (height, width), count = _positions(at, at.x), len(layer.anchors)
    n, size = at.x.dims[0], height * width * count
    scores = at.slice(at.x, [count], [2 * count], [1]).op("Transpose", perm=[0, 2, 3, 1])
    scores = at.op("Reshape", scores, at.whole_numbers([-1, size]))
    boxes, info = _region_boxes(at, layer, height, width)
    small = _too_small(at, layer, boxes, info)
    scores = at.op("Where", small, -np.inf, scores)
    scores.dims = (n, size)
    low, high = at.split(boxes, [2, 2], 2)
    wide = at.op("Concat", low, high + 1.0, axis=2)  # both ends of a side count
    rule = layer.rule
    best = best_scores(at, at.reshape(scores, (n, 1, size)), rule.top_k, size)
    most = size if rule.keep < 0 else min(rule.keep, size)
    found = suppressed(at, wide, best, most=most, overlap=float(rule.overlap), least=LOWEST)
    image = at.cast(at.slice(found, [0], [1], [1]), "float")
    rows = at.op("Concat", image, picked(at, boxes, found), axis=1)
    return [rows, picked(at, scores, found)][: len(at.tops)]


def _region_boxes(at: Place, layer: Proposal, height: int, width: int) -> tuple[Value, Value]:
    """Returns the boxes, N×P×4, inside the image, and the image information, N×1×…"""
    anchors, count = layer.anchors.astype(np.float32), len(layer.anchors)
    offsets = at.op("Reshape", at.bottoms[1], at.whole_numbers([-1, count, 4, height, width]))
    offsets = at.op("Transpose", offsets, perm=[0, 3, 4, 1, 2])
    offsets = at.op("Reshape", offsets, at.whole_numbers([-1, height * width * count, 4]))
    moves, growth = at.split(offsets, [2, 2], 2)
    down, right = np.mgrid[:height, :width].astype(np.float32) * layer.settings.feat_stride
    corner = np.stack([right, down], -1)[:, :, None] + anchors[:, :2]
    extent = np.broadcast_to(anchors[:, 2:] - anchors[:, :2] + 1, corner.shape)
    base, sides = ((a.reshape(1, -1, 2)) for a in (corner + extent / 2, extent))
    centre = at.op("Add", base, moves * sides)
    half = growth.op("Exp") * (sides / 2)
    rest = int(np.prod([int(size) for size in at.bottoms[2].dims[1:]]))
    info = at.op("Reshape", at.bottoms[2], at.whole_numbers([-1, 1, rest]))
    last = at.op("Gather", info, np.array([1, 0]), axis=2) - 1.0
    ends = [at.op("Max", at.op("Min", end, last), 0.0) for end in (centre - half, centre + half)]
    return at.op("Concat", *ends, axis=2), info


def _too_small(at: Place, layer: Proposal, boxes: Value, info: Value) -> Value:
    """Says of each box whether one of its sides is too short, N×P."""
    rest = int(np.prod([int(size) for size in at.bottoms[2].dims[1:]]))
    scales = at.op("Gather", info, np.array([3 if rest > 3 else 2, 2]), axis=2)
    low, high = at.split(boxes, [2, 2], 2)
    short = (high - low + 1.0).op("Less", scales * float(layer.settings.min_size))
    return at.cast(at.reduce("ReduceMax", at.cast(short, "float"), [2], keepdims=False), "bool")


@writes("YoloDetectionOutput")
def yolo_detection_output(at: Place) -> Value:
    """Sigmoid, Exp, Softmax, ArgMax for the boxes; NonMaxSuppression, GatherND for the choice."""
    layer = cast(YoloDetectionOutput, at.layer)
    shapes = [tuple(map(int, bottom.dims)) for bottom in at.bottoms]
    grids = [_grid(at, layer, x) for x in at.bottoms[: layer._grids(shapes)]]
    boxes, scores, labels = (
        at.op("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
        for parts in zip(*grids, strict=True)
    )
    count = int(layer.search["priors"])
    rule = layer.search["rule"]
    table = at.op("Unsqueeze", scores, at.whole_numbers([1]))
    found = suppressed(
        at, boxes, table, most=count, overlap=rule["overlap"], least=rule["least_score"]
    )
    columns = [
        at.cast(at.slice(found, [0], [1], [1]), "float"),
        *(at.op("Unsqueeze", picked(at, values, found), at.whole_numbers([1]))
          for values in (labels + 1.0, scores)),
        picked(at, boxes, found),
    ]  # fmt: skip
    rows = rows_or_none(at, at.op("Concat", *columns, axis=1))
    return at.op("Unsqueeze", rows, at.whole_numbers([0, 1]))


def _grid(at: Place, layer: YoloDetectionOutput, x: Value) -> tuple[Value, Value, Value]:
    """Returns boxes (N×P×4), scores and labels (N×P) of one grid."""
    (height, width), settings = _positions(at, x), layer.settings
    count, values = settings.num_box, 5 + settings.num_classes
    cells = at.op("Reshape", x, at.whole_numbers([-1, count, values, height * width]))
    cells = at.op("Transpose", cells, perm=[0, 3, 1, 2])
    cells = at.op("Reshape", cells, at.whole_numbers([-1, height * width * count, values]))
    place, size, sure, classes = at.split(cells, [2, 2, 1, settings.num_classes], 2)
    down, right = np.mgrid[:height, :width]
    corner = np.repeat(np.stack([right, down], -1).reshape(1, -1, 2), count, 1)
    plane = np.array([width, height], np.float32)
    anchors = np.tile(np.array(settings.biases, np.float32).reshape(-1, 2), (height * width, 1))
    centre = (place.op("Sigmoid") + corner.astype(np.float32)) / plane
    half = size.op("Exp") * anchors[None] / plane / 2.0
    best = at.reduce("ReduceMax", at.op("Softmax", classes, axis=2), [2])
    score = at.op("Squeeze", sure.op("Sigmoid") * best, at.whole_numbers([2]))
    label = at.cast(at.op("ArgMax", classes, axis=2, keepdims=0), "float")
    return at.op("Concat", centre - half, centre + half, axis=2), score, label
