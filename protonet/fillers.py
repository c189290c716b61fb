"""Fillers: how a parameter starts out, all of Caffe's by the name that `type` gives.

fan_in is count / shape[0] and fan_out is count / shape[1] (count, if there is one axis only);
`variance_norm` says which of them, or their mean, is n in xavier and msra.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from protonet.layers.base import LayerError, Shape, shape_text
from protonet.prototxt.diagnostics import nearest

if TYPE_CHECKING:
    from protonet.ir.protonet_pb2 import FillerParameter

__all__ = ["fill", "filler_types", "judge"]


def fill(array: np.ndarray, filler: FillerParameter, random: np.random.Generator) -> None:
    """Sets the C-contiguous array as the filler says, drawing from `random`.

    Raises LayerError, with the field's path inside the filler, where `judge` does.
    """
    judge(filler, array.shape)
    with np.errstate(over="ignore", invalid="ignore"):  # numbers near the end of their range
        _FILLERS[filler.type](array, filler, random)


def filler_types() -> list[str]:
    """Returns the names of all fillers in alphabetical order."""
    return sorted(_FILLERS)


_SPREAD = {"uniform": ("min", "max"), "gaussian": ("mean", "std")}


def judge(filler: FillerParameter, shape: Shape) -> None:
    """Raises LayerError if this filler cannot fill that shape; allocates nothing."""
    if filler.type not in _FILLERS:
        near = nearest(filler.type, _FILLERS)
        raise LayerError(
            f'unknown filler "{filler.type}"',
            field=("type",),
            help=f'did you mean "{near}"?' if near else f"known are {', '.join(filler_types())}",
        )
    for name in _SPREAD.get(filler.type, ()):
        value = getattr(filler, name)
        if not math.isfinite(value):
            raise LayerError(f"{name} must be a finite number, not {value:g}", field=(name,))
    if filler.type == "uniform" and not filler.min <= filler.max:
        raise LayerError(
            f"a uniform filler's min {filler.min:g} must not be above its max {filler.max:g}",
            field=("min",),
        )
    if filler.type == "gaussian" and not filler.std > 0:
        raise LayerError(
            f"std must be above 0, not {filler.std:g}",
            field=("std",), help='for one value everywhere: type: "constant"',
        )  # fmt: skip
    _judge_sparse(filler, shape)
    if filler.type == "bilinear" and (len(shape) != 4 or shape[2] != shape[3]):
        raise LayerError(
            f"a bilinear filler needs N×C×F×F, but the parameter is {shape_text(shape)}",
            field=("type",),
            help="give the layer a square kernel over two spatial axes, or another filler",
        )


def _judge_sparse(filler: FillerParameter, shape: Shape) -> None:
    if filler.sparse == -1:
        return
    if filler.type != "gaussian":
        raise LayerError(
            f'sparse is for the gaussian filler, not for "{filler.type}"', field=("sparse",)
        )
    most = shape[0] if shape else 0
    if not 0 <= filler.sparse <= most:
        raise LayerError(
            f"sparse must be from 0 to {most}, the first axis of {shape_text(shape)}, "
            f"not {filler.sparse}",
            field=("sparse",),
        )


def fan(filler: FillerParameter, shape: Shape) -> float:
    """Returns n, by which variance_norm divides the variance; at least 1."""
    count = math.prod(shape)
    fan_in = count / shape[0] if shape and shape[0] else count
    fan_out = count / shape[1] if len(shape) > 1 and shape[1] else count
    chosen = (fan_in, fan_out, (fan_in + fan_out) / 2)[filler.variance_norm]
    return max(1.0, chosen)


def _uniform_between(
    array: np.ndarray, low: float, high: float, random: np.random.Generator
) -> None:
    random.random(out=array, dtype=array.dtype)
    array *= high - low
    array += low


def _normal(array: np.ndarray, mean: float, std: float, random: np.random.Generator) -> None:
    random.standard_normal(out=array, dtype=array.dtype)
    array *= std
    array += mean


def _constant(array: np.ndarray, filler: FillerParameter, random: np.random.Generator) -> None:
    """x = value."""
    array[...] = filler.value


def _uniform(array: np.ndarray, filler: FillerParameter, random: np.random.Generator) -> None:
    """x ~ U(min, max)."""
    _uniform_between(array, filler.min, filler.max, random)


def _gaussian(array: np.ndarray, filler: FillerParameter, random: np.random.Generator) -> None:
    """x ~ N(mean, std²); with `sparse` s an element is kept with probability s / shape[0], else
    it is 0."""
    _normal(array, filler.mean, filler.std, random)
    if filler.sparse >= 0:
        array *= random.random(array.shape, dtype=np.float32) < filler.sparse / array.shape[0]


def _positive_unitball(
    array: np.ndarray, filler: FillerParameter, random: np.random.Generator
) -> None:
    """x ~ U(0, 1), then divided so that the elements of each item of axis 0 sum to 1."""
    random.random(out=array, dtype=array.dtype)
    items = array.reshape(array.shape[0] if array.ndim else 1, -1)
    sums = items.sum(axis=1, keepdims=True)
    np.divide(items, sums, out=items, where=sums > 0)


def _xavier(array: np.ndarray, filler: FillerParameter, random: np.random.Generator) -> None:
    """x ~ U(−√(3/n), √(3/n)), of variance 1/n. (Glorot and Bengio, 2010)"""
    limit = math.sqrt(3 / fan(filler, array.shape))
    _uniform_between(array, -limit, limit, random)


def _msra(array: np.ndarray, filler: FillerParameter, random: np.random.Generator) -> None:
    """x ~ N(0, 2/n), which keeps the variance through layers of ReLU. (He et al., 2015)"""
    _normal(array, 0.0, math.sqrt(2 / fan(filler, array.shape)), random)


def _bilinear(array: np.ndarray, filler: FillerParameter, random: np.random.Generator) -> None:
    """Weights of bilinear interpolation for a Deconvolution of stride f = ceil(F/2).

    x[.., i, j] = t(i) t(j), t(i) = 1 − |i/f − c|, c = (F − 1)/(2f).
    """
    size = array.shape[-1]
    stride = math.ceil(size / 2)
    centre = (size - 1) / (2 * stride) if size else 0.0
    taps = 1 - np.abs(np.arange(size) / max(1, stride) - centre)
    array[...] = np.outer(taps, taps)


_FILLERS: dict[str, Callable[[np.ndarray, FillerParameter, np.random.Generator], None]] = {
    "bilinear": _bilinear,
    "constant": _constant,
    "gaussian": _gaussian,
    "msra": _msra,
    "positive_unitball": _positive_unitball,
    "uniform": _uniform,
    "xavier": _xavier,
}
