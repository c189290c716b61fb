"""Rows chosen by number, greatest elements, and blobs that are constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from protonet.layers.base import canonical_axis

from ..place import Inexpressible, Place
from ..registry import writes
from ..values import Value


@writes("Embed")
def embed(at: Place) -> Value:
    """Cast, Gather, and Add with bias_term."""
    rows = at.op("Gather", at.weight(0), at.cast(at.x, "int64"), axis=0)
    return rows + at.weight(1) if at.param.embed_param.bias_term else rows


@writes("BatchReindex")
def batch_reindex(at: Place) -> Value:
    """Cast, Gather."""
    return at.op("Gather", at.x, at.cast(at.bottoms[1], "int64"), axis=0)


@writes("Filter")
def filter_(at: Place) -> list[Value]:
    """Cast, Compress."""
    selector = at.reshape(at.bottoms[-1], at.bottoms[-1].dims[:1])
    kept = at.cast(selector, "bool")
    return [at.op("Compress", x, kept, axis=0) for x in at.bottoms[:-1]]


@writes("Parameter")
def parameter(at: Place) -> Value:
    """A constant."""
    return at.weight(0)


@writes("DummyData")
def dummy_data(at: Place) -> list[Value]:
    """Constants, where its fillers are."""
    settings = at.param.dummy_data_param
    fillers = list(settings.data_filler)
    for number, filler in enumerate(fillers):
        if filler.type != "constant":
            raise Inexpressible(
                "it draws new numbers on each pass", ("dummy_data_param", "data_filler", number)
            )
    values = [filler.value for filler in fillers] or [0.0]
    values = values if len(values) == len(at.tops) else values * len(at.tops)
    return [
        at.writer.constant(np.full([int(n) for n in dims], value, np.float32))
        for dims, value in zip(at.tops, values, strict=True)
    ]


@writes("Softmax")
def softmax(at: Place) -> Value:
    """Softmax."""
    return at.op("Softmax", at.x, axis=canonical_axis(at.param.softmax_param.axis, at.rank, ()))


@writes("ArgMax")
def arg_max(at: Place) -> Value:
    """ArgMax with select_last_index, as ties go to the larger index; TopK over the reversed axis
    for more than one or for values."""
    settings: Any = at.param.argmax_param
    if settings.HasField("axis"):
        axis = canonical_axis(settings.axis, at.rank, ())
        values, indices = _top(at, at.x, axis, settings.top_k)
        return values() if settings.out_max_val else indices()
    flat = at.x if at.rank == 2 else at.op("Flatten", at.x, axis=1)
    flat.dims = (at.x.dims[0], int(np.prod([int(n) for n in at.x.dims[1:]])))
    values, indices = _top(at, flat, 1, settings.top_k)
    found = indices()
    if settings.out_max_val:
        found = at.op("Concat", found, values(), axis=1)
    return at.reshape(found, at.tops[0])


def _top(
    at: Place, x: Value, axis: int, top_k: int
) -> tuple[Callable[[], Value], Callable[[], Value]]:
    """Returns functions that give the greatest values, and their indices as floats."""
    size = at.fixed(x.dims[axis], "the axis")
    if top_k == 1:
        return (
            lambda: at.reduce("ReduceMax", x, [axis]),
            lambda: at.cast(at.op("ArgMax", x, axis=axis, select_last_index=1), "float"),
        )
    limit = at.whole_numbers([top_k])
    values, indices = at.ops("TopK", 2, at.flip(x, axis), limit, axis=axis)
    return lambda: values, lambda: float(size - 1) - at.cast(indices, "float")
