"""Sums, products and their kin, of blobs with blobs and with constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..builder import Blob
from ..node import Node, Unreadable
from ..registry import Result, reads
from .activation import power

_FIELDS = {"Scale": "scale_param", "Bias": "bias_param"}


def _run(shape: tuple[int, ...], constant: np.ndarray) -> tuple[int, np.ndarray]:
    """Returns the first axis of a blob along which a constant varies, and its numbers from there
    on to the last such axis. Raises Unreadable if the blob would grow."""
    dims = (1,) * (len(shape) - constant.ndim) + constant.shape
    if len(dims) > len(shape) or any(c not in (1, n) for c, n in zip(dims, shape, strict=True)):
        raise Unreadable("a constant that makes the blob larger")
    varying = [axis for axis, size in enumerate(dims) if size != 1]
    first, last = varying[0], varying[-1]
    run = constant.reshape(dims[first : last + 1])
    return first, np.broadcast_to(run, shape[first : last + 1])


def _affine(at: Node, x: Blob, kind: str, constant: np.ndarray) -> Blob:
    """x · c (Scale) or x + c (Bias), c broadcast over the other axes."""
    dims = (1,) * (x.rank - constant.ndim) + constant.shape
    x = _tiled(at, x, np.broadcast_shapes(x.shape, dims), "tiled")
    axis, run = _run(x.shape, constant)
    settings: dict[str, Any] = {}
    if axis != 1:
        settings["axis"] = axis
    if run.ndim != 1:
        settings["num_axes"] = run.ndim
    given: dict[str, Any] = {_FIELDS[kind]: settings}
    return at.layer(kind, x, blobs=[run], in_place=True, **given)


def _attached(at: Node, x: Blob, constant: np.ndarray) -> Blob | None:
    """Makes the constant the bias of the layer that made x, if that has none and fits."""
    layer = at.builder.owner(x, "Convolution", "Deconvolution", "InnerProduct", "Scale")
    if layer is None or (constant.size == 1 and x.rank < 2):
        return None
    weights = at.builder.weights.get(layer.name, [])
    if layer.type == "Scale":
        settings: Any = layer.scale_param
        if settings.bias_term or len(layer.bottom) != 1 or constant.size == 1:
            return None
        axis, run = _run(x.shape, constant)
        if axis != settings.axis or run.shape != weights[0].shape:
            return None
        settings.bias_term = True
    else:
        inner = layer.type == "InnerProduct"
        settings = layer.inner_product_param if inner else layer.convolution_param
        channels = settings.axis if inner else 1
        if settings.bias_term or constant.size == 1:
            return None
        axis, run = _run(x.shape, constant)
        if axis != channels or run.ndim != 1:
            return None
        settings.ClearField("bias_term")
    weights.append(np.ascontiguousarray(run, np.float32))
    return x


def _sided(at: Node) -> tuple[Blob, np.ndarray, bool] | None:
    """Returns the blob and the constant of two inputs, and whether the constant is the first."""
    left, right = at.inputs[0], at.inputs[1]
    if isinstance(right, np.ndarray) and not isinstance(left, np.ndarray) and left is not None:
        return left, right, False
    if isinstance(left, np.ndarray) and not isinstance(right, np.ndarray) and right is not None:
        return right, left, True
    return None


def _matched(at: Node) -> tuple[Blob, Blob]:
    """Returns both inputs, the smaller one tiled to the larger one's shape."""
    left, right = at.blob(0), at.blob(1)
    wanted = np.broadcast_shapes(left.shape, right.shape)
    return _tiled(at, left, wanted, "left"), _tiled(at, right, wanted, "right")


def _tiled(at: Node, x: Blob, shape: tuple[int, ...], suffix: str) -> Blob:
    if x.shape == shape:
        return x
    if x.rank < len(shape):
        x = at.reshape(x, (1,) * (len(shape) - x.rank) + x.shape, suffix)
    for axis, (size, wanted) in enumerate(zip(x.shape, shape, strict=True)):
        if size != wanted:
            tile = {"axis": axis, "tiles": wanted}
            x = at.layer("Tile", x, suffix=f"{suffix}{axis}", tile_param=tile)
    return x


def _by_channel(at: Node, kind: str) -> Blob | None:
    """Scale or Bias with two bottoms, where the smaller has a number for each image and channel."""
    for large, small in ((at.blob(0), at.blob(1)), (at.blob(1), at.blob(0))):
        if large.rank != small.rank or large.shape == small.shape:
            continue
        end = next(
            (axis for axis in range(small.rank) if small.shape[axis] != large.shape[axis]), 0
        )
        if end and math.prod(small.shape[end:]) == 1:
            factor = at.reshape(small, small.shape[:end], "factor")
            given: dict[str, Any] = {_FIELDS[kind]: {"axis": 0}}
            return at.layer(kind, large, factor, **given)
    return None


@reads("Add", "Sum")
def add(at: Node) -> Result:
    """Eltwise, Bias or Power; a bias of the layer before it where that has none."""
    if at.kind == "Sum" and len(at.inputs) != 2:
        blobs = [at.blob(n) for n in range(len(at.inputs))]
        if any(blob.shape != blobs[0].shape for blob in blobs):
            raise Unreadable("a sum of blobs of several shapes")
        return at.layer("Eltwise", *blobs) if len(blobs) > 1 else blobs[0]
    sided = _sided(at)
    if sided is None:
        return _by_channel(at, "Bias") or at.layer("Eltwise", *_matched(at))
    x, constant, _ = sided
    attached = _attached(at, x, constant)
    if attached is not None:
        return attached
    if constant.size == 1:
        return power(at, x, shift=float(constant.reshape(-1)[0]))
    return _affine(at, x, "Bias", constant)


@reads("Sub")
def subtract(at: Node) -> Result:
    """Eltwise with coeff 1 and −1, Bias or Power."""
    sided = _sided(at)
    if sided is None:
        return at.layer("Eltwise", *_matched(at), eltwise_param={"coeff": [1, -1]})
    x, constant, is_first = sided
    if constant.size == 1:
        value = float(constant.reshape(-1)[0])
        return power(at, x, -1, value) if is_first else power(at, x, shift=-value)
    if is_first:
        return _affine(at, power(at, x, scale=-1, suffix="minus"), "Bias", constant)
    attached = _attached(at, x, -constant)
    return attached if attached is not None else _affine(at, x, "Bias", -constant)


@reads("Mul")
def multiply(at: Node) -> Result:
    """Eltwise, Scale or Power."""
    sided = _sided(at)
    if sided is None:
        product = {"operation": "PROD"}
        return _by_channel(at, "Scale") or at.layer("Eltwise", *_matched(at), eltwise_param=product)
    x, constant, _ = sided
    if constant.size == 1:
        return power(at, x, scale=float(constant.reshape(-1)[0]))
    return _affine(at, x, "Scale", constant)


@reads("Div")
def divide(at: Node) -> Result:
    """Power and Eltwise, or Scale, or Power."""
    sided = _sided(at)
    if sided is None:
        x, y = _matched(at)
        inverse = at.layer("Power", y, suffix="inverse", power_param={"power": -1})
        return at.layer("Eltwise", x, inverse, eltwise_param={"operation": "PROD"})
    x, constant, is_first = sided
    if not is_first and not constant.all():
        raise Unreadable("a division by 0")
    if is_first and constant.size == 1:
        value = float(constant.reshape(-1)[0])
        if value == 0:
            raise Unreadable("0 divided by a blob")
        return power(at, x, scale=1 / value, power=-1)
    if is_first:
        return _affine(at, power(at, x, power=-1, suffix="inverse"), "Scale", constant)
    if constant.size == 1:
        return power(at, x, scale=1 / float(constant.reshape(-1)[0]))
    return _affine(at, x, "Scale", 1 / constant)


@reads("Max")
def maximum(at: Node) -> Result:
    """Eltwise, or ReLU and Clip with a constant."""
    if len(at.inputs) == 1:
        return at.x
    sided = _sided(at) if len(at.inputs) == 2 else None
    if sided is None:
        blobs = [at.blob(n) for n in range(len(at.inputs))]
        return at.layer("Eltwise", *blobs, eltwise_param={"operation": "MAX"})
    x, constant, _ = sided
    if constant.size != 1:
        raise Unreadable("a maximum with several constants")
    limits = {"min": float(constant.reshape(-1)[0]), "max": float(np.finfo(np.float32).max)}
    return at.layer("Clip", x, in_place=True, clip_param=limits)


@reads("Min")
def minimum(at: Node) -> Result:
    """Clip with a constant; Power, Eltwise and Power for blobs."""
    if len(at.inputs) == 1:
        return at.x
    sided = _sided(at) if len(at.inputs) == 2 else None
    if sided is None:
        turned = [
            at.layer("Power", at.blob(n), suffix=f"minus{n}", power_param={"scale": -1})
            for n in range(len(at.inputs))
        ]
        least = at.layer("Eltwise", *turned, suffix="max", eltwise_param={"operation": "MAX"})
        return power(at, least, scale=-1)
    x, constant, _ = sided
    if constant.size != 1:
        raise Unreadable("a minimum with several constants")
    limits = {"min": -float(np.finfo(np.float32).max), "max": float(constant.reshape(-1)[0])}
    return at.layer("Clip", x, in_place=True, clip_param=limits)
