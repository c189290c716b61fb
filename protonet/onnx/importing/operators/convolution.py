"""Convolutions and products with trained matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..builder import Blob
from ..node import Node, Unreadable
from ..registry import reads

_MOST_GROWN = 2**24  # numbers of a filter with zeros put into it

Pads = tuple[list[int], list[int]]  # before and after the plane, for each axis


def window_pads(at: Node, size: Sequence[int], kernel: Sequence[int], stride: Sequence[int],
                dilation: Sequence[int]) -> Pads:  # fmt: skip
    """Returns the pads of a window: given, or what auto_pad makes of them."""
    axes, mode = len(kernel), at.attribute("auto_pad", "NOTSET")
    if mode in ("NOTSET", ""):
        pads = list(at.attribute("pads", [0] * (2 * axes)))
        if len(pads) != 2 * axes or min(pads) < 0:
            raise Unreadable(f"pads {pads} are not two numbers for each of {axes} axes")
        return pads[:axes], pads[axes:]
    before, after = [0] * axes, [0] * axes
    if mode == "VALID":
        return before, after
    for axis, (n, f, s, d) in enumerate(zip(size, kernel, stride, dilation, strict=True)):
        total = max(0, (-(-n // s) - 1) * s + d * (f - 1) + 1 - n)
        less, more = total // 2, total - total // 2
        before[axis], after[axis] = (less, more) if mode == "SAME_UPPER" else (more, less)
    return before, after


def _geometry(at: Node, axes: int, weight: np.ndarray) -> tuple[list[int], ...]:
    kernel = list(at.attribute("kernel_shape", weight.shape[2:]))
    stride = list(at.attribute("strides", [1] * axes))
    dilation = list(at.attribute("dilations", [1] * axes))
    if kernel != list(weight.shape[2:]) or not len(stride) == len(dilation) == axes == len(kernel):
        raise Unreadable("kernel_shape, strides and dilations do not fit its weights")
    return kernel, stride, dilation


def _level(weight: np.ndarray, pads: Pads, dilation: list[int]) -> tuple[np.ndarray, list[int]]:
    """Makes the pads before and after the same, by zeros in the filter; returns filter and pads.

    A filter that begins with zeros reaches further to the front than it looks.
    """
    grown = [(0, 0), (0, 0)]
    common = []
    for before, after, d in zip(*pads, dilation, strict=True):
        gap = after - before
        if gap % d:
            raise Unreadable("uneven pads that no multiple of its dilation makes even")
        grown.append((max(0, gap // d), max(0, -gap // d)))
        common.append(max(before, after))
    size = math.prod(n + sum(more) for n, more in zip(weight.shape, grown, strict=True))
    if size > max(_MOST_GROWN, 4 * weight.size):
        raise Unreadable("pads so uneven that no filter can make them even")
    return np.pad(weight, grown) if any(map(any, grown)) else weight, common


def _settings(
    weight: np.ndarray, outputs: int, stride: list[int], pad: list[int], dilation: list[int],
    group: int, has_bias: bool,
) -> dict[str, Any]:  # fmt: skip
    """Returns convolution_param as one would write it by hand."""

    def short(numbers: list[int], usual: int) -> list[int]:
        if all(number == numbers[0] for number in numbers):
            numbers = numbers[:1]
        return [] if numbers == [usual] else numbers

    found: dict[str, Any] = {
        "num_output": outputs,
        "kernel_size": short(list(weight.shape[2:]), 0),
        "stride": short(stride, 1),
        "pad": short(pad, 0),
        "dilation": short(dilation, 1),
    }
    if group != 1:
        found["group"] = group
    if not has_bias:
        found["bias_term"] = False
    return {name: value for name, value in found.items() if value != []}


@reads("Conv")
def conv(at: Node) -> Blob:
    """Convolution; uneven pads by zeros in the filter."""
    x, weight = at.x, at.constant(1, "its filter")
    blobs = [at.constant(2, "its bias")] if at.has(2) else []
    axes = x.rank - 2
    if weight.ndim != x.rank or axes < 1:
        raise Unreadable(f"a filter of {weight.ndim} axes over a blob of {x.rank}")
    kernel, stride, dilation = _geometry(at, axes, weight)
    before, after = window_pads(at, x.shape[2:], kernel, stride, dilation)
    if x.pads:
        before = [a + b for a, b in zip(before, x.pads[:axes], strict=True)]
        after = [a + b for a, b in zip(after, x.pads[axes:], strict=True)]
    weight, pad = _level(weight, (before, after), dilation)
    settings = _settings(
        weight, weight.shape[0], stride, pad, dilation, at.attribute("group", 1), bool(blobs)
    )
    return at.layer("Convolution", x, blobs=[weight, *blobs], convolution_param=settings)


@reads("ConvTranspose")
def conv_transpose(at: Node) -> Blob:
    """Deconvolution; uneven pads and output_padding by zeros in the filter."""
    x, weight = at.x, at.constant(1, "its filter")
    blobs = [at.constant(2, "its bias")] if at.has(2) else []
    axes, group = x.rank - 2, at.attribute("group", 1)
    if weight.ndim != x.rank or axes < 1:
        raise Unreadable(f"a filter of {weight.ndim} axes over a blob of {x.rank}")
    kernel, stride, dilation = _geometry(at, axes, weight)
    more = list(at.attribute("output_padding", [0] * axes))
    if at.attribute("output_shape") is not None or at.attribute("auto_pad", "NOTSET") not in (
        "NOTSET", "VALID",
    ):  # fmt: skip
        before, after = _shaped(at, x.shape[2:], kernel, stride, dilation, more)
    else:
        before, after = window_pads(at, x.shape[2:], kernel, stride, dilation)
    after = [n - o for n, o in zip(after, more, strict=True)]
    weight, pad = _level(weight, (before, after), dilation)
    settings = _settings(weight, weight.shape[1] * group, stride, pad, dilation, group, bool(blobs))
    return at.layer("Deconvolution", x, blobs=[weight, *blobs], convolution_param=settings)


def _shaped(
    at: Node, size: Sequence[int], kernel: list[int], stride: list[int], dilation: list[int],
    more: list[int],
) -> Pads:  # fmt: skip
    """Returns the pads that give output_shape, or the stride times the input's."""
    wanted = at.attribute("output_shape") or [n * s for n, s in zip(size, stride, strict=True)]
    before, after = [], []
    for n, f, s, d, o, out in zip(size, kernel, stride, dilation, more, wanted[-len(size) :],
                                  strict=True):  # fmt: skip
        total = s * (n - 1) + o + d * (f - 1) + 1 - out
        if total < 0:
            raise Unreadable("an output_shape larger than its filter reaches")
        first = total - total // 2 if at.attribute("auto_pad") != "SAME_UPPER" else total // 2
        before.append(first)
        after.append(total - first)
    return before, after


@reads("Gemm")
def gemm(at: Node) -> Blob:
    """InnerProduct."""
    x, weight = at.x, at.constant(1, "its matrix")
    alpha, beta = at.attribute("alpha", 1.0), at.attribute("beta", 1.0)
    if at.attribute("transA", 0) or weight.ndim != 2 or x.rank != 2:
        raise Unreadable("a product of other shapes than rows and a matrix")
    weight = weight if at.attribute("transB", 0) else weight.T
    outputs = weight.shape[0]
    settings: dict[str, Any] = {"num_output": outputs}
    blobs = [weight * np.float32(alpha)]
    if at.has(2):
        bias = at.constant(2, "its bias")
        if bias.size not in (1, outputs):
            raise Unreadable("a bias that differs from row to row")
        blobs.append(np.broadcast_to(bias.reshape(-1), (outputs,)) * np.float32(beta))
    else:
        settings["bias_term"] = False
    return at.layer("InnerProduct", x, blobs=blobs, inner_product_param=settings)


@reads("MatMul")
def mat_mul(at: Node) -> Blob:
    """InnerProduct over the last axis."""
    x, weight = at.x, at.constant(1, "its matrix")
    if weight.ndim != 2:
        raise Unreadable("a product with another thing than a matrix")
    settings: dict[str, Any] = {"num_output": weight.shape[1], "bias_term": False}
    if x.rank != 2:
        settings["axis"] = x.rank - 1
    return at.layer("InnerProduct", x, blobs=[weight.T], inner_product_param=settings)
