"""FlowNet's layers: maps resized by weights, fetched along a flow, and correlated."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from protonet.ir.protonet_pb2 import CorrelationParameter
from protonet.layers.flow import Correlation, FlowWarp
from protonet.layers.flow_resizing import Accum, Downsample, Resample

from ..place import Place
from ..registry import writes
from ..values import Value
from .resizing import resize_plane


def _matrices(at: Place) -> tuple[np.ndarray, np.ndarray]:
    """Returns the weights of rows (H'×H) and columns (W×W')."""
    weights: dict[str, Any] = cast(Any, at.layer).weights
    found = []
    for axis, name in enumerate(("row", "column")):
        matrix = np.zeros((int(at.tops[0][axis + 2]), int(at.x.dims[axis + 2])))
        first, given = weights[name], weights[f"{name}_weight"]
        for index in range(len(matrix)):
            matrix[index, first[index] : first[index] + given.shape[1]] = given[index]
        found.append(matrix.astype(np.float32))
    return found[0], found[1].T.copy()


def _fixed_planes(at: Place) -> None:
    for bottom in at.bottoms:
        for size in bottom.dims[2:]:
            at.fixed(size, "the plane")


@writes("Resample")
def resample(at: Place) -> Value:
    """MatMul by the weights of rows and columns; NEAREST: Gather of rows and columns."""
    _fixed_planes(at)
    layer = cast(Resample, at.layer)
    if layer.is_nearest:
        picked = at.op("Gather", at.x, layer.weights["row"].astype(np.int64), axis=2)
        return at.op("Gather", picked, layer.weights["column"].astype(np.int64), axis=3)
    rows, columns = _matrices(at)
    return at.op("MatMul", at.op("MatMul", rows, at.x), columns)


@writes("Downsample")
def downsample(at: Place) -> Value:
    """MatMul of what are numbers, and of the weights that they have; Where, IsNaN (where just a
    third of the weight is unknown, rounding decides)."""
    _fixed_planes(at)
    if cast(Downsample, at.layer).is_copy:
        return at.x
    rows, columns = _matrices(at)
    lost = at.op("IsNaN", at.x)
    unknown, known = (
        at.op("MatMul", at.op("MatMul", rows, at.cast(marks, "float")), columns)
        for marks in (lost, at.op("Not", lost))
    )
    numbers = at.op("Where", lost, 0.0, at.x)
    total = at.op("MatMul", at.op("MatMul", rows, numbers), columns)
    return at.op("Where", (unknown * 2.0).above(known), np.nan, total / known)


@writes("Accum")
def accum(at: Place) -> Value:
    """Resize, linear, of each bottom, and Concat."""
    _fixed_planes(at)
    parts = [
        resize_plane(at, x, (*x.dims[:2], *at.tops[0][2:]), mode="linear",
                     coordinate_transformation_mode="align_corners")
        for x in at.bottoms[: cast(Accum, at.layer).joined]
    ]  # fmt: skip
    return at.op("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]


@writes("FlowWarp")
def flow_warp(at: Place) -> Value:
    """Add, Floor, GatherElements of the four pixels around, Mul, Where."""
    _fixed_planes(at)
    image, flow = at.bottoms
    n, channels, height, width = image.dims
    right, down = at.split(flow, [1, 1], 1)
    x = right + np.arange(width, dtype=np.float32).reshape(1, 1, 1, width)
    y = down + np.arange(height, dtype=np.float32).reshape(1, 1, height, 1)
    inside = at.op("And", _within(at, x, int(width)), _within(at, y, int(height)))
    x, y = at.op("Where", inside, x, 0.0), at.op("Where", inside, y, 0.0)
    left, top = x.op("Floor"), y.op("Floor")
    alpha, beta = x - left, y - top
    flat = at.reshape(image, (n, channels, int(height) * int(width)))

    def pixel(row: Value, column: Value) -> Value:
        place = at.cast(row * float(width) + column, "int64")
        place.dims = (n, 1, height, width)
        places = at.op(
            "Expand", at.reshape(place, (n, 1, flat.dims[2])), at.whole_numbers([1, channels, 1])
        )
        found = at.op("GatherElements", flat, places, axis=2)
        found.dims = flat.dims
        return at.reshape(found, image.dims)

    beside = at.op("Min", left + 1.0, float(width - 1))
    below = at.op("Min", top + 1.0, float(height - 1))
    upper = (1.0 - alpha) * pixel(top, left) + alpha * pixel(top, beside)
    lower = (1.0 - alpha) * pixel(below, left) + alpha * pixel(below, beside)
    fill = float(cast(FlowWarp, at.layer).arguments["fill"])
    return at.op("Where", inside, (1.0 - beta) * upper + beta * lower, fill)


def _within(at: Place, place: Value, size: int) -> Value:
    """Says where 0 ≤ place < size."""
    return at.op("And", place.op("GreaterOrEqual", 0.0), place.op("Less", float(size)))


@writes("Correlation")
def correlation(at: Place) -> Value:
    """For each displacement Slice, Mul (or Sub, Abs), ReduceMean, AveragePool; Concat."""
    _fixed_planes(at)
    layer = cast(Correlation, at.layer)
    settings = layer.settings
    pad, kernel, step = settings.pad, settings.kernel_size, settings.stride_1
    subtracts = settings.correlation_type == CorrelationParameter.SUBTRACT
    around = at.whole_numbers([0, 0, pad, pad] * 2)
    first, second = (at.op("Pad", x, around, 0.0) if pad else x for x in at.bottoms)
    spans = [(int(out) - 1) * step + kernel for out in at.tops[0][2:]]

    def part(x: Value, down: int, right: int) -> Value:
        starts = [settings.max_displacement + down, settings.max_displacement + right]
        ends = [start + span for start, span in zip(starts, spans, strict=True)]
        return at.slice(x, starts, ends, [2, 3])

    here = part(first, 0, 0)
    moves = [settings.stride_2 * (p - layer.radius) for p in range(2 * layer.radius + 1)]
    found = []
    for down in moves:
        for right in moves:
            there = part(second, down, right)
            alike = (here - there).op("Abs") if subtracts else here * there
            mean = at.reduce("ReduceMean", alike, [1])
            if kernel > 1 or step > 1:
                mean = at.op("AveragePool", mean, kernel_shape=[kernel] * 2, strides=[step] * 2)
            found.append(mean)
    return at.op("Concat", *found, axis=1) if len(found) > 1 else found[0]
