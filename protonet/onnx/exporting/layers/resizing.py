"""Planes of another size: resized, padded, unpooled."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from protonet.ir.protonet_pb2 import PadParameter
from protonet.layers.unpooling import MaskUnpooling

from ..place import Place
from ..registry import writes
from ..values import Dims, Value, count

_RULES = {"corners": "align_corners", "centers": "half_pixel", "origin": "asymmetric"}


def resize_plane(at: Place, x: Value, top: Dims, **attributes: Any) -> Value:
    """Resize to the plane of that shape; by its sizes, which no rounding can change."""
    if [int(n) for n in x.dims[-2:]] == [int(n) for n in top[-2:]]:
        return x
    return at.op("Resize", x, None, None, at.sizes(top, x), **attributes)


@writes("Interp", "BilinearInterpolate", "Resize")
def bilinear(at: Place) -> Value:
    """Resize, linear; with Slice before it where Interp cuts pixels off."""
    layer: Any = at.layer
    rule = _RULES[layer.rule]
    for axis in (2, 3):
        at.fixed(at.x.dims[axis], "the plane")
    begin, end = getattr(layer, "cut", (0, 0))
    x = at.x
    if begin or end:
        height, width = (int(n) for n in x.dims[2:])
        dims = (*x.dims[:2], height - begin - end, width - begin - end)
        x = at.slice(x, [begin] * 2, [height - end, width - end], [2, 3])
        x.dims = dims
    return resize_plane(at, x, at.tops[0], mode="linear", coordinate_transformation_mode=rule)


@writes("Upsample")
def upsample(at: Place) -> Value:
    """Resize, nearest; with a mask: ConstantOfShape, ScatterElements."""
    if isinstance(at.layer, MaskUnpooling):
        return _unpooled(at)
    return resize_plane(
        at, at.x, at.tops[0], mode="nearest", coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )  # fmt: skip


@writes("MaxUnPool", "Unpooling")
def unpool(at: Place) -> Value:
    """ConstantOfShape, ScatterElements."""
    return _unpooled(at)


def _unpooled(at: Place) -> Value:
    n, channels, height, width = at.tops[0]
    if len(at.bottoms) == 2:
        mask = at.cast(at.bottoms[1], "int64")
        mask.dims = at.bottoms[1].dims
    else:
        firsts = cast(Any, at.layer).firsts[:1].astype(np.int64)
        mask = at.op("Expand", firsts, at.sizes(at.x.dims, at.x))
        mask.dims = at.x.dims
    rows = (n, channels, count(at.x.dims[2:]))
    zeros = at.zeros((n, channels, int(height) * int(width)), at.x)
    y = at.op("ScatterElements", zeros, at.reshape(mask, rows), at.reshape(at.x, rows), axis=2)
    return at.reshape(y, at.tops[0])


@writes("Pad")
def pad(at: Place) -> Value:
    """Pad; with Slice where a pad is negative."""
    layer: Any = at.layer
    ((up, down), (left, right)), rank = layer.pads, at.rank
    x, sizes = at.x, [int(n) for n in at.x.dims[-2:]]
    if min(up, down, left, right) < 0:
        starts = [max(0, -up), max(0, -left)]
        ends = [sizes[0] + min(0, down), sizes[1] + min(0, right)]
        x = at.slice(x, starts, ends, [rank - 2, rank - 1])
    around = [max(0, n) for n in (up, left, down, right)]
    if not any(around):
        return x
    none = [0] * (rank - 2)
    pads = at.whole_numbers([*none, *around[:2], *none, *around[2:]])
    kind = layer.settings.pad_type
    if kind == PadParameter.REPLICATE:
        return at.op("Pad", x, pads, mode="edge")
    if kind == PadParameter.REFLECT:
        return at.op("Pad", x, pads, mode="reflect")
    return at.op("Pad", x, pads, float(layer.fill))
