"""Convolution and its kin."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import numpy as np

from protonet.layers.base import canonical_axis
from protonet.layers.convolution import FIELD, Convolution
from protonet.layers.spatial import Geometry

from ..place import Inexpressible, Place
from ..registry import writes
from ..values import Value

if TYPE_CHECKING:
    from protonet.ir.protonet_pb2 import ConvolutionParameter

_MOST_AXES = 3  # spatial axes that ONNX Runtime convolves over


def _geometry(at: Place) -> tuple[int, Geometry]:
    settings: ConvolutionParameter = at.param.convolution_param
    axis = canonical_axis(settings.axis, at.rank, (FIELD, "axis"))
    geometry = Geometry.read(settings, at.rank - axis - 1, FIELD)
    if len(geometry.kernel) > _MOST_AXES:
        raise Inexpressible(
            f"{len(geometry.kernel)} spatial axes: ONNX Runtime convolves over {_MOST_AXES}",
            (FIELD,),
        )
    return axis, geometry


def _convolve(at: Place, kind: str) -> list[Value]:
    """Conv or ConvTranspose over each bottom, seen as N×C×…"""
    axis, geometry = _geometry(at)
    layer = cast(Convolution, at.layer)
    flat = not geometry.kernel  # no spatial axis: one of length 1 is put there
    weight = at.weight(0, (*at.blobs[0].shape, 1) if flat else None)
    bias = [at.weight(1)] if layer.settings.bias_term else []
    made = []
    for x, top in zip(at.bottoms, at.tops, strict=True):
        seen = at.as_planes(x, axis) if axis != 1 else x
        if flat:
            seen = at.reshape(seen, (*seen.dims, 1))
        y = at.op(
            kind, seen, weight, *bias, group=layer.group,
            kernel_shape=list(geometry.kernel) or [1],
            strides=list(geometry.stride) or [1],
            pads=[*geometry.pad, *geometry.pad] or [0, 0],
            dilations=list(geometry.dilation) or [1],
        )  # fmt: skip
        made.append(at.reshape(y, top) if flat or axis != 1 else y)
    return made


@writes("Convolution", "DepthwiseConvolution", "ConvolutionDepthwise")
def convolution(at: Place) -> list[Value]:
    """Conv; with Reshape around it where `axis` is not 1."""
    return _convolve(at, "Conv")


@writes("Deconvolution")
def deconvolution(at: Place) -> list[Value]:
    """ConvTranspose; with Reshape around it where `axis` is not 1."""
    return _convolve(at, "ConvTranspose")


@writes("Im2col")
def im2col(at: Place) -> Value:
    """Conv with filters of a single 1."""
    axis, geometry = _geometry(at)
    taps = math.prod(geometry.kernel)
    channels = at.fixed(at.x.dims[axis], "the number of channels")
    pick = np.eye(taps, dtype=np.float32).reshape(taps, 1, *geometry.kernel)
    filters = np.concatenate([pick] * channels)
    x = at.as_planes(at.x, axis) if axis != 1 else at.x
    y = at.op(
        "Conv", x, filters,
        group=channels, kernel_shape=list(geometry.kernel), strides=list(geometry.stride),
        pads=[*geometry.pad, *geometry.pad], dilations=list(geometry.dilation),
    )  # fmt: skip
    return at.reshape(y, at.tops[0]) if axis != 1 else y


@writes("InnerProduct")
def inner_product(at: Place) -> Value:
    """Flatten, Gemm; with Reshape where `axis` is not 1."""
    settings = at.param.inner_product_param
    axis = canonical_axis(settings.axis, at.rank, ())
    bias = [at.weight(1)] if settings.bias_term else []
    x = at.x if at.rank == 2 and axis == 1 else at.op("Flatten", at.x, axis=axis)
    y = at.op("Gemm", x, at.weight(0), *bias, transB=0 if settings.transpose else 1)
    return y if axis == 1 else at.reshape(y, at.tops[0])
