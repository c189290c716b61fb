"""Pooling, rewritten so that Caffe's rule for sizes and divisors gives ONNX's."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from protonet.layers.base import shape_text

from ..builder import Blob
from ..node import Node, Unreadable
from ..registry import Result, reads
from .convolution import window_pads
from .shape import part


@dataclass(frozen=True)
class _Axis:
    """A window along one axis: size, kernel, stride, pads before and after, and the output."""

    size: int
    kernel: int
    stride: int
    before: int
    after: int
    ceil: bool

    @property
    def out(self) -> int:
        span = self.size + self.before + self.after - self.kernel
        if span < 0:
            raise Unreadable(f"a window of {self.kernel} over {self.size} positions")
        out = (-(-span // self.stride) if self.ceil else span // self.stride) + 1
        return out - 1 if self.ceil and (out - 1) * self.stride >= self.size + self.before else out

    def caffe(self, pad: int, ceil: bool, padded: bool) -> int:
        """Returns the size that Caffe's rule gives with that pad on both sides."""
        span = self.size + 2 * pad - self.kernel
        out = (-(-span // self.stride) if ceil else span // self.stride) + 1
        return out - 1 if padded and (out - 1) * self.stride >= self.size + pad else out

    def lengths(self, low: int, high: int) -> np.ndarray:
        """Returns how much of each window lies between two positions."""
        start = np.arange(self.out) * self.stride - self.before
        inside = np.minimum(start + self.kernel, high) - np.maximum(start, low)
        return np.asarray(inside).clip(0)


def _axes(at: Node) -> list[_Axis]:
    x = at.x
    kernel = list(at.attribute("kernel_shape", []))
    if x.rank != 4 or len(kernel) != 2:
        raise Unreadable(f"Caffe pools N×C×H×W, not {shape_text(x.shape)}")
    stride = list(at.attribute("strides", [1, 1]))
    dilation = list(at.attribute("dilations", [1, 1]))
    if dilation != [1, 1]:
        raise Unreadable("a dilated window")
    if len(stride) != 2 or min(kernel + stride) < 1:
        raise Unreadable("kernel_shape and strides do not fit a plane")
    before, after = window_pads(at, x.shape[2:], kernel, stride, dilation)
    ceil = bool(at.attribute("ceil_mode", 0))
    rows = zip(x.shape[2:], kernel, stride, before, after, strict=True)
    return [_Axis(*row, ceil) for row in rows]


@dataclass(frozen=True)
class _Plan:
    """A pooling of Caffe's that has all the windows wanted, after `skips` others on each axis."""

    axes: Sequence[_Axis]
    ceil: bool
    skips: tuple[int, ...]

    @property
    def pads(self) -> list[int]:
        return [a.before + skip * a.stride for a, skip in zip(self.axes, self.skips, strict=True)]

    @property
    def made(self) -> list[int]:
        """Windows on each axis."""
        padded = any(self.pads)
        pairs = zip(self.axes, self.pads, strict=True)
        return [axis.caffe(pad, self.ceil, padded) for axis, pad in pairs]

    @property
    def fits(self) -> bool:
        rows = list(zip(self.axes, self.pads, self.skips, self.made, strict=True))
        return all(pad < axis.kernel and made >= skip + axis.out for axis, pad, skip, made in rows)

    @property
    def cost(self) -> tuple[int, bool]:
        """Windows too many, and a rule that is not Caffe's usual one."""
        return sum(self.made) - sum(axis.out for axis in self.axes), not self.ceil

    @classmethod
    def best(cls, axes: Sequence[_Axis]) -> _Plan:
        ranges = [range(1 + (a.kernel - 1 - a.before) // a.stride) for a in axes]
        plans = [
            cls(axes, ceil, skips)
            for ceil in (True, False)
            for skips in itertools.product(*(r or range(1) for r in ranges))
        ]
        fitting = [plan for plan in plans if plan.fits]
        if not fitting:
            raise Unreadable("windows that Caffe's rule for sizes cannot place")
        return min(fitting, key=lambda plan: plan.cost)

    def settings(self, method: str) -> dict[str, Any]:
        """Returns pooling_param."""
        found: dict[str, Any] = {"pool": method}
        for name, values in (
            ("kernel", [axis.kernel for axis in self.axes]),
            ("stride", [axis.stride for axis in self.axes]),
            ("pad", self.pads),
        ):
            plain = "kernel_size" if name == "kernel" else name
            usual = {"stride": 1, "pad": 0}.get(name)
            if values[0] != values[1]:
                found |= {f"{name}_h": values[0], f"{name}_w": values[1]}
            elif values[0] != usual:
                found[plain] = values[0]
        return found if self.ceil else {**found, "round_mode": "FLOOR"}


def _pooled(at: Node, axes: list[_Axis], method: str, suffix: str = "") -> Blob:
    """Adds the pooling, and Slices for the windows that are too many."""
    plan = _Plan.best(axes)
    cuts = [n for n in (0, 1) if plan.made[n] != axes[n].out]
    y = at.layer(
        "Pooling", at.x, suffix="windows" if cuts else suffix, pooling_param=plan.settings(method)
    )
    for n in cuts:
        start, end = plan.skips[n], plan.skips[n] + axes[n].out
        name = suffix if n == cuts[-1] else f"cut{n}"
        y = part(at, y, n + 2, start, end, name)
    return y


@reads("MaxPool")
def max_pool(at: Node) -> Result:
    """Pooling; round_mode FLOOR where Caffe's ceil rule gives another size; Slice where both rules
    give windows that are not wanted."""
    axes = _axes(at)
    if at.results > 1 and at.readers[1]:
        return _with_indices(at, axes)
    return _pooled(at, axes, "MAX")


def _with_indices(at: Node, axes: list[_Axis]) -> list[Blob]:
    """Pools with a second top, which counts within each plane, as its readers must want it."""
    if set(at.readers[1]) - {"Mod"}:
        raise Unreadable("its second result, the indices, which Caffe counts within each plane")
    plan = _Plan.best(axes)
    if plan.cost[0]:
        raise Unreadable("indices of windows that Caffe's rule for sizes cannot place")
    y, index = at.layers("Pooling", at.x, tops=2, pooling_param=plan.settings("MAX"))
    at.builder.planes[y.layer] = axes[0].size * axes[1].size
    return [y, index]


@reads("Mod")
def modulo(at: Node) -> Blob:
    """Nothing, where it brings MaxPool's indices back to each plane."""
    x = at.x
    layer = at.builder.net.layer[x.layer]
    plane = at.constant(1, "its divisor")
    if layer.type != "Pooling" or x.name not in layer.top[1:]:
        raise Unreadable("a remainder")
    if plane.size != 1 or int(plane.reshape(-1)[0]) != at.builder.planes[x.layer]:
        raise Unreadable("a remainder by another number than the size of the pooled plane")
    return x


@reads("AveragePool")
def average_pool(at: Node) -> Blob:
    """Pooling; with Scale after it where border windows have another divisor."""
    axes = _axes(at)
    includes = bool(at.attribute("count_include_pad", 0))
    wanted = [
        axis.lengths(-axis.before, axis.size + axis.after)
        if includes
        else axis.lengths(0, axis.size)
        for axis in axes
    ]
    pads = _Plan.best(axes).pads
    ours = [axis.lengths(-pad, axis.size + pad) for axis, pad in zip(axes, pads, strict=True)]
    factor = np.outer(*ours) / np.maximum(np.outer(*wanted), 1)
    if (factor == 1).all():
        return _pooled(at, axes, "AVE")
    y = _pooled(at, axes, "AVE", "pool")
    scale = {"axis": 2, "num_axes": 2}
    return at.layer("Scale", y, blobs=[factor], in_place=True, scale_param=scale)


@reads("GlobalAveragePool", "GlobalMaxPool")
def global_pool(at: Node) -> Blob:
    """Pooling with global_pooling."""
    method = "AVE" if at.kind == "GlobalAveragePool" else "MAX"
    return global_pooling(at, method)


def global_pooling(at: Node, method: str, suffix: str = "") -> Blob:
    """Adds a pooling over the whole plane."""
    if at.x.rank != 4:
        raise Unreadable(f"Caffe pools N×C×H×W, not {shape_text(at.x.shape)}")
    settings = {"pool": method, "global_pooling": True}
    return at.layer("Pooling", at.x, suffix=suffix, pooling_param=settings)
