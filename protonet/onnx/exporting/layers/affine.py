"""Scales, summands and normalisations."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from protonet.ir.protonet_pb2 import LRNParameter
from protonet.layers.affine import Broadcast
from protonet.layers.bn import SEGNET_EPS

from ..place import Inexpressible, Place
from ..registry import writes
from ..values import Dims, Value


def _broadcast(at: Place) -> Dims:
    """Returns the shape in which a factor meets the first bottom."""
    layer = cast(Broadcast, at.layer)
    axis, run = layer.extent([tuple(map(int, bottom.dims)) for bottom in at.bottoms])
    return (*at.x.dims[axis : axis + len(run)], *[1] * (at.rank - axis - len(run)))


@writes("Scale")
def scale(at: Place) -> Value:
    """Mul, and Add with bias_term."""
    dims = _broadcast(at)
    sizes = [int(size) for size in dims]
    factor = at.reshape(at.bottoms[1], dims) if len(at.bottoms) == 2 else at.weight(0, sizes)
    y = at.x * factor
    return y + at.weight(len(at.blobs) - 1, sizes) if at.param.scale_param.bias_term else y


@writes("Bias")
def bias(at: Place) -> Value:
    """Add."""
    dims = _broadcast(at)
    if len(at.bottoms) == 2:
        return at.x + at.reshape(at.bottoms[1], dims)
    return at.x + at.weight(0, [int(size) for size in dims])


def _normalized(at: Place, x: Value, axes: list[int], eps: float) -> tuple[Value, Value, Value]:
    """Returns (x − μ) / √(σ² + eps) over these axes, μ and σ²."""
    mean = at.reduce("ReduceMean", x, axes)
    centred = x - mean
    variance = at.reduce("ReduceMean", centred * centred, axes)
    return centred / (variance + eps).op("Sqrt"), mean, variance


@writes("BatchNorm")
def batch_norm(at: Place) -> Value:
    """BatchNormalization, its statistics divided by their weight; ReduceMean, Sqrt where the
    batch's own are used."""
    layer: Any = at.layer
    eps = float(layer.settings.eps)
    if not layer.use_global:
        return _normalized(at, at.x, [axis for axis in range(at.rank) if axis != 1], eps)[0]
    mean, variance, weight = at.blobs
    factor = 0 if weight[0] == 0 else 1 / weight[0]
    channels = len(mean)
    x = at.x if at.rank > 1 else at.reshape(at.x, (*at.x.dims, 1))
    y = at.op(
        "BatchNormalization", x, np.ones(channels, np.float32), np.zeros(channels, np.float32),
        mean * factor, variance * factor, epsilon=eps,
    )  # fmt: skip
    return y if at.rank > 1 else at.reshape(y, at.tops[0])


@writes("BN")
def bn(at: Place) -> list[Value]:
    """BatchNormalization, or ReduceMean, Sqrt, Mul, Add with SegNet's statistics of the batch."""
    layer: Any = at.layer
    sizes = (1, -1, *[1] * (at.rank - 2))
    if layer.only_scales:
        return [at.x * at.weight(0, sizes) + at.weight(1, sizes)]
    if layer.keeps_running:
        blobs = [at.weight(number, (-1,)) for number in range(4)]
        return [at.op("BatchNormalization", at.x, *blobs, epsilon=float(layer.settings.eps))]
    axes = [axis for axis in range(at.rank) if axis != 1]
    y, mean, variance = _normalized(at, at.x, axes, SEGNET_EPS)
    y = y * at.weight(0, sizes) + at.weight(1, sizes)
    shown = zip((mean, variance), at.tops[1:], strict=False)
    return [y, *(at.reshape(value, dims) for value, dims in shown)]


@writes("MVN")
def mvn(at: Place) -> Value:
    """ReduceMean, Sub, and Div by Sqrt + eps."""
    settings = at.param.mvn_param
    axes = 1 if settings.across_channels else 2
    if at.rank <= axes:
        rows = at.reshape(at.x, (*at.x.dims, *[1] * (axes + 1 - at.rank)))
    else:
        rows = at.x
    over = list(range(axes, max(at.rank, axes + 1)))
    y = rows - at.reduce("ReduceMean", rows, over)
    if settings.normalize_variance:
        deviation = at.reduce("ReduceMean", y * y, over).op("Sqrt")
        y = y / (deviation + float(settings.eps))
    return at.reshape(y, at.tops[0]) if rows is not at.x else y


@writes("LRN")
def lrn(at: Place) -> Value:
    """LRN; WITHIN_CHANNEL: AveragePool of x², Pow, Mul."""
    settings = at.param.lrn_param
    size, alpha, beta = settings.local_size, float(settings.alpha), float(settings.beta)
    if settings.norm_region == LRNParameter.ACROSS_CHANNELS:
        return at.op("LRN", at.x, size=size, alpha=alpha, beta=beta, bias=float(settings.k))
    mean = at.op(
        "AveragePool", at.x * at.x, kernel_shape=[size, size], count_include_pad=1,
        pads=[size // 2] * 4,
    )  # fmt: skip
    return at.x * (mean * alpha + 1.0) ** -beta


@writes("Normalize")
def normalize(at: Place) -> Value:
    """ReduceSum, Sqrt, Div, Mul."""
    settings = at.param.norm_param
    axes = list(range(1, at.rank)) if settings.across_spatial else [1]
    norm = (at.reduce("ReduceSum", at.x * at.x, axes) + float(settings.eps)).op("Sqrt")
    factor = at.weight(0, () if settings.channel_shared else (-1, *[1] * (at.rank - 2)))
    return at.x / norm * factor


@writes("ChannelNorm")
def channel_norm(at: Place) -> Value:
    """ReduceSum, Sqrt: √Σ x² over the channels."""
    return at.reduce("ReduceSum", at.x * at.x, [1]).op("Sqrt")


@writes("Axpy")
def axpy(at: Place) -> Value:
    """Mul, Add: a · x + y."""
    a, x, y = at.bottoms
    dims = (*a.dims[:2], *[1] * (len(x.dims) - 2))
    return at.reshape(a, dims) * x + y


@writes("Eltwise")
def eltwise(at: Place) -> Value:
    """Sum, Mul or Max; with Mul before Sum where there are coefficients."""
    layer: Any = at.layer
    terms = [at.reshape(bottom, at.tops[0]) for bottom in at.bottoms]
    operation = type(at.param.eltwise_param).EltwiseOp.Name(layer.operation)
    if operation == "SUM":
        factors = zip(terms, layer.coefficients, strict=True)
        terms = [term if factor == 1 else term * float(factor) for term, factor in factors]
        return terms[0] + terms[1] if len(terms) == 2 else at.op("Sum", *terms)
    if operation == "MAX":
        return at.op("Max", *terms)
    product = terms[0]
    for term in terms[1:]:
        product = product * term
    return product


@writes("Reduction")
def reduction(at: Place) -> Value:
    """ReduceSum, ReduceL1, ReduceSumSquare or ReduceMean, and Mul with coeff."""
    settings = at.param.reduction_param
    axis = settings.axis % at.rank if at.rank else 0
    name = type(settings).ReductionOp.Name(settings.operation)
    kind = {
        "SUM": "ReduceSum",
        "ASUM": "ReduceL1",
        "SUMSQ": "ReduceSumSquare",
        "MEAN": "ReduceMean",
    }
    axes = list(range(axis, at.rank))
    if not axes:
        raise Inexpressible("the bottom has no axis to reduce", ("bottom", 0))
    y = at.reduce(kind[name], at.x, axes, keepdims=False)
    return y if settings.coeff == 1 else y * float(settings.coeff)
