"""Layers that move elements and compute nothing."""

from __future__ import annotations

from typing import Any, cast

from protonet.layers.base import canonical_axis
from protonet.layers.shuffling import AxisShuffle

from ..place import Place
from ..registry import writes
from ..values import Dims, Free, Value, count


@writes("Flatten")
def flatten(at: Place) -> Value:
    """Flatten, or Reshape where other axes than those from 1 on are made one."""
    first = canonical_axis(at.param.flatten_param.axis, at.rank, ())
    last = canonical_axis(at.param.flatten_param.end_axis, at.rank, ())
    if (first, last) == (1, at.rank - 1):
        return at.op("Flatten", at.x, axis=1)
    return at.reshape(at.x, at.tops[0])


@writes("Reshape")
def reshape(at: Place) -> Value:
    """Reshape; −1 stands for the batch where that is not known."""
    return at.reshape(at.x, at.tops[0])


@writes("Unsqueeze")
def unsqueeze(at: Place) -> Value:
    """Unsqueeze."""
    axis = canonical_axis(at.param.unsqueeze_param.dim, at.rank, (), extra=1)
    return at.op("Unsqueeze", at.x, at.whole_numbers([axis]))


@writes("Split")
def split(at: Place) -> list[Value]:
    """Nothing: the blob is read several times."""
    return [at.x] * len(at.tops)


@writes("Silence")
def silence(at: Place) -> list[Value]:
    """Nothing: its bottoms are no outputs."""
    return []


@writes("Concat")
def concat(at: Place) -> Value:
    """Concat."""
    settings = at.param.concat_param
    axis = settings.concat_dim if settings.HasField("concat_dim") else settings.axis
    return at.op("Concat", *at.bottoms, axis=canonical_axis(axis, at.rank, ()))


@writes("Slice")
def slice_(at: Place) -> list[Value]:
    """Split."""
    settings = at.param.slice_param
    chosen = settings.slice_dim if settings.HasField("slice_dim") else settings.axis
    axis = canonical_axis(chosen, at.rank, ())
    at.fixed(at.x.dims[axis], "what is cut")
    return at.split(at.x, [int(top[axis]) for top in at.tops], axis)


@writes("Crop")
def crop(at: Place) -> Value:
    """Slice."""
    layer: Any = at.layer
    _, offsets = layer._offsets(at.rank)
    cut = [axis for axis in range(at.rank) if int(at.tops[0][axis]) != int(at.x.dims[axis])]
    if not cut:
        return at.x
    sizes = [at.fixed(at.tops[0][axis], "what is cut") for axis in cut]
    starts = [offsets[axis] for axis in cut]
    ends = [start + size for start, size in zip(starts, sizes, strict=True)]
    return at.slice(at.x, starts, ends, cut)


@writes("Permute", "Transpose")
def permute(at: Place) -> Value:
    """Transpose."""
    if at.param.type == "Transpose":
        order = list(at.param.transpose_param.dim)
    else:
        layer: Any = at.layer
        order = layer._order(at.rank)
    return at.op("Transpose", at.x, perm=order)


@writes("Tile")
def tile(at: Place) -> Value:
    """Tile."""
    axis = canonical_axis(at.param.tile_param.axis, at.rank, ())
    repeats = [1] * at.rank
    repeats[axis] = at.param.tile_param.tiles
    return at.op("Tile", at.x, at.whole_numbers(repeats))


@writes("Reverse")
def reverse(at: Place) -> Value:
    """Slice with step −1."""
    return at.flip(at.x, canonical_axis(at.param.reverse_param.axis, at.rank, ()))


@writes("ShuffleChannel", "PixelShuffle")
def shuffle(at: Place) -> Value:
    """Reshape, Transpose, Reshape."""
    parts, order = cast(AxisShuffle, at.layer).parts(tuple(map(int, at.x.dims)))
    leading: Dims = at.x.dims[:1] if at.param.type == "ShuffleChannel" else at.x.dims[:-2]
    first = Free(parts[0]) if isinstance(count(leading), Free) else parts[0]
    return _moved(at, at.x, (first, *parts[1:]), order)


def _moved(at: Place, x: Value, parts: Dims, order: list[int]) -> Value:
    y = at.op("Transpose", at.reshape(x, parts), perm=order)
    return at.reshape(y, at.tops[0])


@writes("Reorg")
def reorg(at: Place) -> Value:
    """Reshape, Transpose, Reshape, in Darknet's order."""
    n, channels, height, width = at.x.dims
    s: int = cast(Any, at.layer).stride
    if at.param.reorg_param.reverse:  # x[b, c, h, w] → y[c, h·s + ⌊b/s⌋, w·s + b mod s]
        parts = (n, s, s, channels // s**2, height, width)
        return _moved(at, at.x, parts, [0, 3, 4, 1, 5, 2])
    # The bottom is read as if it were C/s² × Hs × Ws.
    parts = (n, channels // s**2, height, s, width, s)
    return _moved(at, at.x, parts, [0, 3, 5, 1, 2, 4])
