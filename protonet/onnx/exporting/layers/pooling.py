"""Pooling, with Caffe's rule for sizes and border divisors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from protonet.layers.pooling import Pooling
from protonet.layers.spp import SPP

from ..place import Place
from ..registry import writes
from ..values import Dims, Value

_LOWEST = float(np.finfo(np.float32).min)


@dataclass(frozen=True)
class Windows:
    """Where a pooling's windows lie along H and W, and the pads that give ONNX the same ones."""

    size: tuple[int, ...]
    out: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    before: tuple[int, ...]

    @property
    def after(self) -> list[int]:
        """Pixels that the last window needs beyond the plane."""
        reach = zip(self.out, self.stride, self.kernel, self.size, self.before, strict=True)
        return [max(0, (out - 1) * s + f - h - p) for out, s, f, h, p in reach]

    @property
    def pads(self) -> list[int]:
        return [*self.before, *self.after]

    @property
    def are_sound(self) -> bool:
        """No window lies in the padding alone, which runtimes refuse."""
        return all(p < f for p, f in zip(self.pads, self.kernel * 2, strict=True))

    @property
    def attributes(self) -> dict[str, Any]:
        return {"kernel_shape": list(self.kernel), "strides": list(self.stride)}

    def divisors(self) -> np.ndarray:
        """Returns the area that Caffe divides each window's sum by: it is cut at H + P."""
        lengths = []
        for axis in range(2):
            start = np.arange(self.out[axis]) * self.stride[axis] - self.before[axis]
            end = np.minimum(start + self.kernel[axis], self.size[axis] + self.before[axis])
            lengths.append(end - start)
        return np.outer(*lengths).astype(np.float32)


def _windows(pooling: Pooling, x: Dims, out: Dims) -> Windows:
    size = tuple(int(n) for n in x[2:])
    kernel = size if pooling.settings.global_pooling else pooling.kernel
    return Windows(size, tuple(map(int, out[2:])), kernel, pooling.stride, pooling.pad)


def _padded(at: Place, x: Value, windows: Windows, fill: float) -> tuple[Value, list[int]]:
    """Returns x and the pads that the operator still has to add."""
    if windows.are_sound:
        return x, windows.pads
    (top, left), (bottom, right) = windows.before, windows.after
    pads = at.whole_numbers([0, 0, top, left, 0, 0, bottom, right])
    return at.op("Pad", x, pads, fill), [0, 0, 0, 0]


def pool(at: Place, pooling: Pooling, x: Value, out: Dims) -> list[Value]:
    """Returns the tops of a pooling of x."""
    if pooling.settings.global_pooling and pooling.top_count == 1 and not pooling.draws:
        kind = "GlobalMaxPool" if pooling.is_max else "GlobalAveragePool"
        if pooling.is_max or pooling.is_mean:
            return [at.op(kind, x)]
    windows = _windows(pooling, x.dims, out)
    if pooling.is_max:
        return _max_pool(at, x, windows, pooling.top_count)
    if pooling.is_mean:
        return [_mean_pool(at, x, windows)]
    positive = x.op("Relu")
    total = _mean_pool(at, positive, windows)
    squares = _mean_pool(at, positive * positive, windows)
    return [at.op("Where", total.above(0.0), squares / total, 0.0)]


def _max_pool(at: Place, x: Value, windows: Windows, tops: int) -> list[Value]:
    padded, pads = _padded(at, x, windows, _LOWEST)
    if tops == 1:
        return [at.op("MaxPool", padded, pads=pads, **windows.attributes)]
    y, index = at.ops("MaxPool", 2, padded, pads=pads, **windows.attributes)
    if padded is x:
        plane = math.prod(windows.size)
        return [y, at.cast(index.op("Mod", at.whole_numbers([plane])), "float")]
    # The index is one into the padded plane; a window outside the plane has none: −1.
    (top, left), (bottom, right) = windows.before, windows.after
    across = windows.size[1] + left + right
    numbers = np.full((windows.size[0] + top + bottom, across), -1, np.int64)
    height, width = windows.size
    numbers[top : top + height, left : left + width] = np.arange(height * width).reshape(
        height, width
    )
    inside = index.op("Mod", at.whole_numbers([numbers.size]))
    return [y, at.cast(at.op("Gather", numbers.reshape(-1), inside), "float")]


def _mean_pool(at: Place, x: Value, windows: Windows) -> Value:
    padded, pads = _padded(at, x, windows, 0.0)
    y = at.op("AveragePool", padded, pads=pads, count_include_pad=1, **windows.attributes)
    area, divisors = math.prod(windows.kernel), windows.divisors()
    if (divisors == area).all():
        return y
    with np.errstate(divide="ignore", invalid="ignore"):
        correction = np.where(divisors > 0, area / divisors, np.nan).astype(np.float32)
    return y * correction


@writes("Pooling")
def pooling(at: Place) -> list[Value]:
    """MaxPool, AveragePool (or Global…) with explicit pads for the ceil rule; Mul by a constant
    where border windows have another divisor."""
    for axis in (2, 3):
        at.fixed(at.x.dims[axis], "the plane")
    return pool(at, cast(Pooling, at.layer), at.x, at.tops[0])


@writes("SPP")
def spp(at: Place) -> Value:
    """MaxPool or AveragePool for each level, Flatten, Concat."""
    layer = cast(SPP, at.layer)
    size = tuple(int(n) for n in at.x.dims[2:])
    levels = []
    for number in range(layer.height):
        level = layer._level(number, size)
        out = level.infer([tuple(map(int, at.x.dims))])[0]
        pooled = pool(at, level, at.x, (*at.x.dims[:2], *out[2:]))[0]
        levels.append(pooled)
    if len(levels) == 1:
        return levels[0]
    return at.op("Concat", *(level.op("Flatten", axis=1) for level in levels), axis=1)
