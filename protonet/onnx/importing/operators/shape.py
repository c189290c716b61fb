"""Operators that move elements."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from protonet.layers.base import shape_text

from ..builder import Blob
from ..node import Node, Unreadable
from ..registry import Result, reads

_MOST_PARTS = 1024


@reads("Concat")
def concat(at: Node) -> Blob:
    """Concat."""
    blobs = [at.blob(n) for n in range(len(at.inputs))]
    axis = at.attribute("axis", 1) % blobs[0].rank
    settings: dict[str, Any] = {} if axis == 1 else {"concat_param": {"axis": axis}}
    return at.layer("Concat", *blobs, **settings)


def _sliced(at: Node, x: Blob, axis: int, points: list[int], suffix: str = "") -> list[Blob]:
    settings: dict[str, Any] = {"slice_point": points}
    if axis != 1:
        settings["axis"] = axis
    return at.layers("Slice", x, suffix=suffix, tops=len(points) + 1, slice_param=settings)


@reads("Split")
def split(at: Node) -> Result:
    """Slice."""
    x, axis = at.x, at.attribute("axis", 0) % at.x.rank
    sizes = at.numbers(1, "split", "its sizes")
    if sizes is None:
        each = -(-x.shape[axis] // at.results)
        sizes = [min(each, x.shape[axis] - each * n) for n in range(at.results)]
    if len(sizes) == 1:
        return x
    if min(sizes) < 1 or sum(sizes) != x.shape[axis]:
        raise Unreadable(f"parts of {sizes} of an axis of {x.shape[axis]}")
    return _sliced(at, x, axis, list(itertools.accumulate(sizes))[:-1])


def part(at: Node, x: Blob, axis: int, start: int, end: int, suffix: str) -> Blob:
    """Returns start … end of an axis; the rest is silenced."""
    size = x.shape[axis]
    if start >= end:
        raise Unreadable("an empty part")
    if (start, end) == (0, size):
        return x
    points = [point for point in (start, end) if 0 < point < size]
    parts = _sliced(at, x, axis, points, suffix)
    kept = parts.pop(1 if start else 0)
    at.layers("Silence", *parts, suffix=f"{suffix or 'rest'}{axis}", tops=0)
    return kept


@reads("Slice")
def slice_(at: Node) -> Blob:
    """Slice, the parts that are cut off silenced; Reverse with step −1."""
    x = at.x
    starts = at.numbers(1, "starts", "its start") or []
    ends = at.numbers(2, "ends", "its end") or []
    axes = at.numbers(3, "axes", "its axes")
    steps = at.numbers(4, "steps", "its step") or [1] * len(starts)
    axes = list(range(len(starts))) if axes is None else [axis % x.rank for axis in axes]
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise Unreadable("starts, ends, axes and steps are not equally many")
    for number, (start, end, axis, step) in enumerate(zip(starts, ends, axes, steps, strict=True)):
        first, last, _ = slice(start, end, step).indices(x.shape[axis]) if step else (0, 0, 0)
        suffix = "" if number == len(starts) - 1 else f"cut{number}"
        if step == -1 and (first, last) == (x.shape[axis] - 1, -1):
            x = at.layer("Reverse", x, suffix=suffix, reverse_param={"axis": axis})
        elif step == 1:
            x = part(at, x, axis, first, last, suffix)
        elif step > 1 and x.rank == 4 and axis > 1:
            x = part(at, x, axis, first, last, f"cut{axis}")
            x = _each_nth(at, x, axis, step, suffix)
        else:
            raise Unreadable(f"a step of {step}")
    return x


def _each_nth(at: Node, x: Blob, axis: int, step: int, suffix: str) -> Blob:
    """Returns each step-th row or column: a convolution that picks single pixels."""
    channels = x.shape[1]
    settings = {"num_output": channels, "bias_term": False, "group": channels, "kernel_size": [1],
                "stride": [step, 1] if axis == 2 else [1, step]}  # fmt: skip
    ones = np.ones((channels, 1, 1, 1), np.float32)
    return at.layer("Convolution", x, suffix=suffix, blobs=[ones], convolution_param=settings)


@reads("Gather")
def gather(at: Node) -> Blob:
    """Slice and Reshape for one index, Slice and Concat for several; Embed where rows of a constant
    are picked, BatchReindex where rows of a blob are."""
    if isinstance(at.inputs[0], np.ndarray):
        return _embedded(at, at.constant(0, "its table"))
    x, axis = at.x, at.attribute("axis", 0) % at.x.rank
    if not isinstance(at.inputs[1], np.ndarray):
        if axis != 0 or at.blob(1).rank != 1:
            raise Unreadable("an index that is no list of rows")
        return at.layer("BatchReindex", x, at.blob(1))
    index = at.constant(1, "its index")
    if index.size != 1:
        return _chosen(at, x, axis, index)
    at_index = int(index.reshape(-1)[0]) % x.shape[axis]
    rest = (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])
    same = rest == (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    return at.reshape(part(at, x, axis, at_index, at_index + 1, "" if same else "part"), rest)


def _chosen(at: Node, x: Blob, axis: int, index: np.ndarray) -> Blob:
    """Returns several positions of an axis, in any order."""
    size = x.shape[axis]
    if index.ndim != 1 or not index.size:
        raise Unreadable("indices that make new axes")
    if size > _MOST_PARTS:
        raise Unreadable(f"indices into an axis of {size} (at most {_MOST_PARTS})")
    if index.min() < -size or index.max() >= size:
        raise Unreadable(f"an index beyond an axis of {size}")
    chosen = [int(n) % size for n in index]
    if chosen == list(range(chosen[0], chosen[0] + len(chosen))):
        return part(at, x, axis, chosen[0], chosen[-1] + 1, "")
    parts = _sliced(at, x, axis, list(range(1, size)), "each")
    rest = [each for number, each in enumerate(parts) if number not in chosen]
    if rest:
        at.layers("Silence", *rest, suffix="rest", tops=0)
    settings: dict[str, Any] = {} if axis == 1 else {"concat_param": {"axis": axis}}
    return at.layer("Concat", *(parts[number] for number in chosen), **settings)


def _embedded(at: Node, table: np.ndarray) -> Blob:
    if table.ndim != 2 or at.attribute("axis", 0) % table.ndim != 0:
        raise Unreadable("a table that is not one of rows")
    settings = {"input_dim": len(table), "num_output": table.shape[1], "bias_term": False}
    return at.layer("Embed", at.blob(1), blobs=[table], embed_param=settings)


@reads("Compress")
def compress(at: Node) -> Blob:
    """Filter."""
    if at.attribute("axis") != 0:
        raise Unreadable("it picks along another axis than the rows")
    return at.layer("Filter", at.x, at.blob(1))


@reads("Flatten")
def flatten(at: Node) -> Blob:
    """Flatten, or Reshape with another axis than 1."""
    axis = at.attribute("axis", 1)
    axis = axis + at.x.rank if axis < 0 else axis
    shape = at.x.shape
    return at.reshape(at.x, (math.prod(shape[:axis]), math.prod(shape[axis:])))


@reads("Reshape")
def reshape(at: Node) -> Blob:
    """Flatten or Reshape."""
    x, wanted = at.x, at.numbers(1, "shape", "its shape") or []
    keeps_zero = bool(at.attribute("allowzero", 0))
    sizes = [
        x.shape[axis] if size == 0 and not keeps_zero and axis < x.rank else size
        for axis, size in enumerate(wanted)
    ]
    if -1 in sizes:
        rest = math.prod(size for size in sizes if size != -1)
        if rest <= 0 or math.prod(x.shape) % rest:
            raise Unreadable(f"{shape_text(x.shape)} does not become {wanted}")
        sizes[sizes.index(-1)] = math.prod(x.shape) // rest
    if math.prod(sizes) != math.prod(x.shape) or min(sizes, default=1) < 1:
        raise Unreadable(f"{shape_text(x.shape)} does not become {wanted}")
    return at.reshape(x, tuple(sizes))


@reads("Squeeze")
def squeeze(at: Node) -> Blob:
    """Reshape."""
    x, axes = at.x, at.numbers(1, "axes", "its axes")
    gone = [a for a, n in enumerate(x.shape) if n == 1] if axes is None else [
        axis % x.rank for axis in axes
    ]  # fmt: skip
    if any(x.shape[axis] != 1 for axis in gone):
        raise Unreadable("an axis that is longer than 1")
    return at.reshape(x, tuple(n for axis, n in enumerate(x.shape) if axis not in gone))


@reads("Unsqueeze")
def unsqueeze(at: Node) -> Blob:
    """Reshape."""
    x, axes = at.x, at.numbers(1, "axes", "its axes") or []
    rank = x.rank + len(axes)
    places = {axis % rank for axis in axes}
    if len(places) != len(axes):
        raise Unreadable("it names an axis twice")
    rest = iter(x.shape)
    return at.reshape(x, tuple(1 if axis in places else next(rest) for axis in range(rank)))


@reads("Transpose")
def transpose(at: Node) -> Blob:
    """Permute; Reshape where only axes of length 1 move; nothing where one takes back another."""
    x = at.x
    order = list(at.attribute("perm", range(x.rank)[::-1]))
    if sorted(order) != list(range(x.rank)):
        raise Unreadable(f"perm {order} for {x.rank} axes")
    shape = tuple(x.shape[axis] for axis in order)
    before = at.builder.permuted.get(x.layer)
    if before is not None and [before[1][axis] for axis in order] == list(range(x.rank)):
        return before[0]  # it takes back what an earlier one did
    moved = [axis for axis in order if x.shape[axis] != 1]
    if moved == sorted(moved):
        return at.reshape(x, shape)
    y = at.layer("Permute", x, permute_param={"order": order})
    at.builder.permuted[y.layer] = (x, order)
    return y


@reads("Tile")
def tile(at: Node) -> Blob:
    """Tile."""
    repeats = at.numbers(1, "repeats", "its repeats") or []
    return _repeated(at, at.x, repeats)


def _repeated(at: Node, x: Blob, repeats: list[int]) -> Blob:
    if len(repeats) != x.rank or min(repeats, default=1) < 1:
        raise Unreadable(f"repeats {repeats} for {x.rank} axes")
    wanted = [(axis, times) for axis, times in enumerate(repeats) if times != 1]
    for axis, times in wanted:
        suffix = "" if axis == wanted[-1][0] else f"axis{axis}"
        x = at.layer("Tile", x, suffix=suffix, tile_param={"axis": axis, "tiles": times})
    return x


@reads("Expand")
def expand(at: Node) -> Blob:
    """Tile, with Reshape before it for new axes."""
    x, given = at.x, at.numbers(1, "shape", "its shape") or []
    if math.prod(given) < 1:
        raise Unreadable("an empty shape")
    wanted = np.broadcast_shapes(x.shape, tuple(given))
    if x.rank < len(wanted):
        x = at.reshape(x, (1,) * (len(wanted) - x.rank) + x.shape, "axes")
    return _repeated(at, x, [w // n for w, n in zip(wanted, x.shape, strict=True)])


@reads("DepthToSpace")
def depth_to_space(at: Node) -> Blob:
    """PixelShuffle (mode CRD), or Reshape, Permute, Reshape."""
    x, r = at.x, at.attribute("blocksize", 1)
    if at.attribute("mode", "DCR") == "CRD":
        return at.layer("PixelShuffle", x, pixelshuffle_param={"upscale_factor": r})
    n, channels, height, width = x.shape
    y = at.reshape(x, (n, r, r, channels // r**2, height, width), "blocks")
    y = at.layer("Permute", y, suffix="order", permute_param={"order": [0, 3, 4, 1, 5, 2]})
    return at.reshape(y, (n, channels // r**2, height * r, width * r))


@reads("SpaceToDepth")
def space_to_depth(at: Node) -> Blob:
    """Reshape, Permute, Reshape."""
    x, s = at.x, at.attribute("blocksize", 1)
    n, channels, height, width = x.shape
    y = at.reshape(x, (n, channels, height // s, s, width // s, s), "blocks")
    y = at.layer("Permute", y, suffix="order", permute_param={"order": [0, 3, 5, 1, 2, 4]})
    return at.reshape(y, (n, channels * s**2, height // s, width // s))
