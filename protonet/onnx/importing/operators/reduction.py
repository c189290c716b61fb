"""Axes reduced to one number each, and the greatest along an axis."""

from __future__ import annotations

import numpy as np

from ..builder import Blob
from ..node import Node, Unreadable
from ..registry import Result, reads
from .activation import power
from .pooling import global_pooling

_KINDS = {
    "ReduceMean": "MEAN",
    "ReduceSum": "SUM",
    "ReduceL1": "ASUM",
    "ReduceSumSquare": "SUMSQ",
    "ReduceL2": "SUMSQ",
}


def _axes(at: Node) -> tuple[list[int], tuple[int, ...]]:
    """Returns the axes that are reduced, and the shape that is left."""
    x = at.x
    given = at.numbers(1, "axes", "its axes")
    if given == [] and at.attribute("noop_with_empty_axes", 0):
        return [], x.shape
    axes = sorted({axis % x.rank for axis in given}) if given else list(range(x.rank))
    if at.attribute("keepdims", 1):
        return axes, tuple(1 if axis in axes else n for axis, n in enumerate(x.shape))
    return axes, tuple(n for axis, n in enumerate(x.shape) if axis not in axes)


@reads(*_KINDS)
def reduce(at: Node) -> Blob:
    """Pooling with global_pooling over a plane; Convolution with equal weights over the channels;
    else Reduction over the last axes, with Permute before it where others are meant."""
    x, (axes, final) = at.x, _axes(at)
    if not axes:
        return x
    if at.kind == "ReduceMean" and axes == [2, 3] and x.rank == 4:
        suffix = "" if final == (*x.shape[:2], 1, 1) else "reduced"
        return at.reshape(global_pooling(at, "AVE", suffix), final)
    if at.kind in ("ReduceMean", "ReduceSum") and axes == [1] and x.rank == 4:
        return _over_channels(at, x, final)
    rest = [axis for axis in range(x.rank) if axis not in axes]
    if axes != list(range(axes[0], x.rank)):
        x = at.layer("Permute", x, suffix="order", permute_param={"order": rest + axes})
    roots = at.kind == "ReduceL2"
    settings = {"operation": _KINDS[at.kind], "axis": len(rest)}
    suffix = "" if final == x.shape[: len(rest)] and not roots else "reduced"
    y = at.layer("Reduction", x, suffix=suffix, reduction_param=settings)
    if not roots:
        return at.reshape(y, final)
    y = at.reshape(y, final, "shape")
    return power(at, y, power=0.5)


def _over_channels(at: Node, x: Blob, final: tuple[int, ...]) -> Blob:
    weight = np.full((1, x.shape[1], 1, 1), 1 / x.shape[1] if at.kind == "ReduceMean" else 1)
    settings = {"num_output": 1, "kernel_size": [1], "bias_term": False}
    suffix = "" if len(final) == x.rank else "reduced"
    y = at.layer("Convolution", x, suffix=suffix, blobs=[weight], convolution_param=settings)
    return at.reshape(y, final)


@reads("ReduceMax", "ReduceMin")
def greatest(at: Node) -> Blob:
    """Pooling with global_pooling over a plane, ArgMax with out_max_val over one axis; for the
    least Power before and after it."""
    x, (axes, final) = at.x, _axes(at)
    if not axes:
        return x
    least = at.kind == "ReduceMin"
    if least:
        x = at.layer("Power", x, suffix="minus", power_param={"scale": -1})
    plain = not least and len(final) == x.rank
    suffix = "" if plain else "greatest"
    if axes == [2, 3] and x.rank == 4:
        settings = {"pool": "MAX", "global_pooling": True}
        y = at.layer("Pooling", x, suffix=suffix, pooling_param=settings)
    elif len(axes) == 1:
        picked = {"axis": axes[0], "out_max_val": True}
        y = at.layer("ArgMax", x, suffix=suffix, argmax_param=picked)
    else:
        raise Unreadable(f"the greatest over axes {axes}")
    y = at.reshape(y, final, "shape" if least else "")
    return power(at, y, scale=-1) if least else y


@reads("ArgMax")
def arg_max(at: Node) -> Blob:
    """ArgMax; of equal values the larger index, whatever select_last_index says."""
    x, axis = at.x, at.attribute("axis", 0) % at.x.rank
    final = tuple(n for a, n in enumerate(x.shape) if a != axis)
    keeps = bool(at.attribute("keepdims", 1))
    y = at.layer("ArgMax", x, suffix="" if keeps else "kept", argmax_param={"axis": axis})
    return y if keeps else at.reshape(y, final)


@reads("TopK")
def top_k(at: Node) -> Result:
    """ArgMax with top_k; with out_max_val for the values."""
    x, axis = at.x, at.attribute("axis", -1) % at.x.rank
    count = int(at.constant(1, "its number").reshape(-1)[0])
    if not at.attribute("largest", 1):
        raise Unreadable("the least ones")
    if not 1 <= count <= x.shape[axis]:
        raise Unreadable(f"the {count} greatest of {x.shape[axis]}")
    settings = {"axis": axis, "top_k": count}
    values, indices = at.readers[0], at.readers[1] if at.results > 1 else []
    made: list[Blob] = []
    for number, wanted in enumerate((values, indices)):
        more = {"out_max_val": True} if number == 0 else {}
        suffix = "" if number == 0 else "indices"
        if wanted or (number == 0 and not indices):
            made.append(at.layer("ArgMax", x, suffix=suffix, argmax_param=settings | more))
        else:
            made.append(x)  # nobody reads it
    return made
