"""Regions of interest pooled into bins."""

from __future__ import annotations

from typing import cast

import numpy as np

from protonet.layers.roi_pooling import PSROIPooling

from ..place import Place
from ..registry import writes
from ..values import Value


@writes("ROIPooling")
def roi_pooling(at: Place) -> Value:
    """MaxRoiPool."""
    settings = at.param.roi_pooling_param
    rois = at.reshape(at.bottoms[1], (at.bottoms[1].dims[0], 5))
    scale = float(settings.spatial_scale)
    if settings.pad_ratio:
        index, *corners = at.split(rois, [1] * 5, 1)
        left, top, right, bottom = corners
        across = (right - left + 1.0) * float(settings.pad_ratio)
        down = (bottom - top + 1.0) * float(settings.pad_ratio)
        rois = at.op(
            "Concat", index, left - across, top - down, right + across, bottom + down, axis=1
        )
    return at.op(
        "MaxRoiPool", at.x, rois, pooled_shape=[settings.pooled_h, settings.pooled_w],
        spatial_scale=scale,
    )  # fmt: skip


@writes("PSROIPooling")
def psroi_pooling(at: Place) -> Value:
    """Floor, Ceil, Less for the bins; MatMul of each with its channels; GatherND of the image."""
    settings = cast(PSROIPooling, at.layer).settings
    group, outputs = settings.group_size, settings.output_dim
    height, width = (int(at.fixed(size, "the plane")) for size in at.x.dims[2:])
    rois = at.op("Reshape", at.bottoms[1], at.whole_numbers([-1, 5]))
    image, left, top, right, bottom = at.split(rois, [1] * 5, 1)
    scale = float(settings.spatial_scale)
    rows = _bins(at, top, bottom, scale, group, height)  # R×G×H
    columns = _bins(at, left, right, scale, group, width)
    inside = at.op("Unsqueeze", rows, at.whole_numbers([2, 4])) * at.op(
        "Unsqueeze", columns, at.whole_numbers([1, 3])
    )  # R×G×G×H×W
    area = at.reduce("ReduceSum", inside, [3, 4], keepdims=False)
    flat = at.op("Reshape", inside, at.whole_numbers([-1, group, group, height * width]))
    maps = at.op("Reshape", at.x, at.whole_numbers([-1, outputs, group, group, height * width])).op(
        "Transpose", perm=[0, 2, 3, 4, 1]
    )
    sums = at.op("MatMul", at.op("Transpose", flat, perm=[1, 2, 0, 3]), maps)  # N×G×G×R×D
    ordered = at.op("Transpose", sums, perm=[3, 0, 4, 1, 2])
    own = at.op("GatherND", ordered, at.cast(image, "int64"), batch_dims=1)  # R×D×G×G
    divisor = at.op("Unsqueeze", at.op("Max", area, 1.0), at.whole_numbers([1]))
    return own / divisor


def _bins(at: Place, low: Value, high: Value, scale: float, group: int, size: int) -> Value:
    """Returns 1 for each position that is in a bin, R×G×size."""
    start = _rounded(at, low) * scale
    side = at.op("Max", (_rounded(at, high) + 1.0) * scale - start, 0.1) / float(group)
    first, last = (
        _multiplied_and_added(at, side, np.arange(group) + more, start).op(kind)
        for more, kind in ((0, "Floor"), (1, "Ceil"))
    )
    places = np.arange(size, dtype=np.float32).reshape(1, 1, size)
    first, last = (at.op("Unsqueeze", end, at.whole_numbers([2])) for end in (first, last))
    inside = at.op("And", at.op("Less", places, last), at.op("GreaterOrEqual", places, first))
    return at.cast(inside, "float")


def _multiplied_and_added(at: Place, x: Value, factor: np.ndarray, summand: Value) -> Value:
    """x · factor + summand, rounded once: an end of a bin is often a whole number, and should not
    be beside it."""
    given = (x, at.writer.lift(factor.astype(np.float32)[None]), summand)
    x, times, plus = (at.cast(value, "double") for value in given)
    return at.cast(x * times + plus, "float")


def _rounded(at: Place, x: Value) -> Value:
    """Rounds halves away from zero, where ONNX's Round goes to the even number."""
    size = x.op("Abs")
    whole = size.op("Floor")
    up = at.cast((size - whole).op("GreaterOrEqual", 0.5), "float")
    return x.op("Sign") * (whole + up)
