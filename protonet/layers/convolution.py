"""Convolution over any number of spatial axes, its transpose, and im2col by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.protonet_pb2 import ConvolutionParameter

from .base import AtLeast, Layer, LayerError, Parameter, Shape, canonical_axis, shape_text
from .registry import register
from .spatial import Geometry

FIELD = "convolution_param"


def convolution_shape(
    geometry: Geometry, group: int, bottom: Shape, top: Shape, axis: int
) -> dict[str, Any]:
    """Returns the geometry fields of the kernels' convolution_args for these blobs."""
    return {
        "n": math.prod(bottom[:axis]),
        "channels": bottom[axis],
        "outputs": top[axis],
        "group": group,
        "axes": len(bottom) - axis - 1,
        "size": bottom[axis + 1 :],
        "out": top[axis + 1 :],
        "kernel": geometry.kernel,
        "stride": geometry.stride,
        "pad": geometry.pad,
        "dilation": geometry.dilation,
    }


def by_columns(settings: ConvolutionParameter) -> bool:
    """Says whether the net asks for explicit im2col and matrix product (engine: CAFFE)."""
    return settings.engine == ConvolutionParameter.CAFFE


@register("Convolution")
class Convolution(Layer):
    """Slides O filters of C/g×F×F over the input with stride S, padding P and dilation D.

    Shapes:     N×C×H×W → N×O×H'×W', H' = floor((H + 2P − D(F−1) − 1)/S) + 1; any number of
                spatial axes after `axis`; W is O×C/g×F×F, b is O. Several bottoms of one shape
                share the filters.
    Parameters: num_output (O), kernel_size (or kernel_h, kernel_w), stride, pad, dilation,
                group (g), bias_term, weight_filler, bias_filler, axis; engine: CAFFE asks for the
                readable way (im2col into a buffer, then the product).
    Formula:    y[n,o,i] = b[o] + Σ over c, f of W[o,c,f] · x[n, c, S·i − P + D·f]
    Gradient:   dx[n, c, S·i − P + D·f] += W[o,c,f] · dy[n,o,i], dW[o,c,f] += Σ over n, i of
                dy[n,o,i] · x[n, c, S·i − P + D·f], db[o] = Σ dy[n,o,i].
    Source:     LeCun et al. 1998; dilation: Yu and Koltun 2016; Caffe 1.0.
    """

    bottoms, tops = AtLeast(1), AtLeast(1)
    equal_bottoms_and_tops = True
    sets_gradients = True

    def setup(self) -> None:
        self.settings = self.param.convolution_param
        self.outputs, self.group = self.settings.num_output, self.settings.group
        if self.outputs < 1:
            raise LayerError("num_output must be at least 1", field=(FIELD, "num_output"))
        if self.group < 1:
            raise LayerError("group must be at least 1", field=(FIELD, "group"))
        if self.outputs % self.group:
            raise LayerError(
                f"num_output {self.outputs} is not a multiple of group {self.group}",
                field=(FIELD, "group"),
            )

    def _geometry(self, shape: Shape) -> tuple[int, Geometry]:
        axis = canonical_axis(self.settings.axis, len(shape), (FIELD, "axis"))
        return axis, Geometry.read(self.settings, len(shape) - axis - 1, FIELD)

    def _judge(self, bottom: list[Shape], axis: int) -> None:
        for number, shape in enumerate(bottom):
            if shape != bottom[0]:
                raise LayerError(
                    f"all bottoms must have one shape, but {shape_text(shape)} "
                    f"is not {shape_text(bottom[0])}",
                    bottom=number,
                )
        if bottom[0][axis] % self.group:
            raise LayerError(
                f"{bottom[0][axis]} channels are not a multiple of group {self.group}",
                field=(FIELD, "group"),
            )

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        axis, geometry = self._geometry(bottom[0])
        self._judge(bottom, axis)
        out = geometry.convolved(bottom[0][axis + 1 :], FIELD)
        return [(*bottom[0][:axis], self.outputs, *out)] * len(bottom)

    def weight_shape(self, channels: int, geometry: Geometry) -> Shape:
        return (self.outputs, channels // self.group, *geometry.kernel)

    def parameters(self, bottom: list[Shape]) -> list[Parameter]:
        axis, geometry = self._geometry(bottom[0])
        weight = self.weight_shape(bottom[0][axis], geometry)
        found = [Parameter(weight, self.settings.weight_filler, (FIELD, "weight_filler"))]
        if self.settings.bias_term:
            bias = self.settings.bias_filler
            found.append(Parameter((self.outputs,), bias, (FIELD, "bias_filler")))
        return found

    def macs(self, bottom: list[Shape], top: list[Shape]) -> int:
        axis, geometry = self._geometry(bottom[0])
        filter_size = bottom[0][axis] // self.group * math.prod(geometry.kernel)
        return sum(math.prod(shape) for shape in top) * filter_size

    def window(self, rank: int) -> tuple[Sequence[int], Sequence[int | Fraction], Sequence[int]]:
        _, geometry = self._geometry((1,) * rank)
        return geometry.extent, geometry.stride, geometry.pad

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        axis, geometry = self._geometry(bottom[0].shape)
        self.shape = convolution_shape(geometry, self.group, bottom[0].shape, top[0].shape, axis)

    @property
    def _bias(self) -> Any:
        return self.blobs[1].data if self.settings.bias_term else None

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        for x, y in zip(bottom, top, strict=True):
            self.multiply(x.data, y.data)

    def multiply(self, x: np.ndarray, y: np.ndarray, store: dict[str, Any] | None = None) -> None:
        """Sets y from x; `store` has the fields of the kernels' epilogue_args."""
        kernels.convolution(
            x=x, weight=self.blobs[0].data, bias=self._bias, y=y,
            by_columns=by_columns(self.settings), store=store or {}, **self.shape,
        )  # fmt: skip

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        learns_weight = self.param_propagate_down[0]
        learns_bias = self.settings.bias_term and self.param_propagate_down[1]
        self.begin_gradients()
        for x, y, wanted in zip(bottom, top, self.propagate_down, strict=True):
            if learns_weight or learns_bias:
                kernels.convolution_backward_weight(
                    shape={"x": x.data, **self.shape}, dy=y.diff,
                    dweight=self.blobs[0].diff if learns_weight else None,
                    dbias=self.blobs[1].diff if learns_bias else None,
                )  # fmt: skip
            if wanted:
                kernels.convolution_backward_data(
                    shape={"weight": self.blobs[0].data, **self.shape}, dy=y.diff, dx=x.diff
                )


@register("Deconvolution")
class Deconvolution(Convolution):
    """The transpose of Convolution: each input value lays a filter, times itself, into y.

    Shapes:     N×C×H×W → N×O×H'×W', H' = S(H − 1) + D(F−1) + 1 − 2P; W is C×O/g×F×F (its
                first two axes are swapped against Convolution's), b is O.
    Parameters: those of Convolution; C and O must be multiples of group.
    Formula:    y[n, o, S·i − P + D·f] += W[c,o,f] · x[n,c,i], then + b[o]
    Gradient:   dx is the Convolution of dy with W; dW[c,o,f] += Σ over n, i of x[n,c,i] · dy[n, o,
                S·i − P + D·f], db[o] = Σ dy[n,o,i].
    Source:     Long, Shelhamer and Darrell 2015 (FCN); Caffe 1.0.
    """

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        axis, geometry = self._geometry(bottom[0])
        self._judge(bottom, axis)
        out = geometry.deconvolved(bottom[0][axis + 1 :], FIELD)
        return [(*bottom[0][:axis], self.outputs, *out)] * len(bottom)

    def weight_shape(self, channels: int, geometry: Geometry) -> Shape:
        return (channels, self.outputs // self.group, *geometry.kernel)

    def macs(self, bottom: list[Shape], top: list[Shape]) -> int:
        _, geometry = self._geometry(bottom[0])
        filter_size = self.outputs // self.group * math.prod(geometry.kernel)
        return sum(math.prod(shape) for shape in bottom) * filter_size

    def window(self, rank: int) -> tuple[list[int], list[Fraction], list[int]]:
        """An output gathers from E/S inputs, rounded up; its neighbour looks 1/S further."""
        _, geometry = self._geometry((1,) * rank)
        gathered = [math.ceil(e / s) for e, s in zip(geometry.extent, geometry.stride, strict=True)]
        return gathered, [Fraction(1, s) for s in geometry.stride], list(geometry.pad)

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        axis, geometry = self._geometry(bottom[0].shape)
        # The convolution whose transpose this is goes from top to bottom.
        self.shape = convolution_shape(geometry, self.group, top[0].shape, bottom[0].shape, axis)
        self.bias_size = {
            "outer": math.prod(top[0].shape[:axis]),
            "channels": self.outputs,
            "inner": math.prod(top[0].shape[axis + 1 :]),
        }

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        for x, y in zip(bottom, top, strict=True):
            kernels.convolution_backward_data(
                shape={"weight": self.blobs[0].data, **self.shape}, dy=x.data, dx=y.data
            )
            if self.settings.bias_term:
                kernels.scale(x=y.data, bias=self.blobs[1].data, y=y.data, **self.bias_size)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        self.begin_gradients()
        for x, y, wanted in zip(bottom, top, self.propagate_down, strict=True):
            if self.settings.bias_term and self.param_propagate_down[1]:
                kernels.scale_gradient(
                    dy=y.diff, dbias=self.blobs[1].diff, keep=1, **self.bias_size
                )
            if self.param_propagate_down[0]:
                kernels.convolution_backward_weight(
                    shape={"x": y.diff, **self.shape}, dy=x.data, dweight=self.blobs[0].diff
                )
            if wanted:
                kernels.convolution(x=y.diff, weight=self.blobs[0].data, y=x.diff, **self.shape)


@register("Im2col")
class Im2col(Layer):
    """Lays each patch that a filter would see into a column.

    Shapes:     N×C×H×W → N×(C·F·F)×H'×W', H' = floor((H + 2P − D(F−1) − 1)/S) + 1.
    Parameters: kernel_size, stride, pad, dilation, axis of convolution_param.
    Formula:    y[n, (c, f), i] = x[n, c, S·i − P + D·f], 0 in the padding
    Gradient:   dx[n, c, S·i − P + D·f] += dy[n, (c, f), i].
    Source:     Caffe 1.0.
    """

    def _geometry(self, shape: Shape) -> tuple[int, Geometry]:
        settings = self.param.convolution_param
        axis = canonical_axis(settings.axis, len(shape), (FIELD, "axis"))
        return axis, Geometry.read(settings, len(shape) - axis - 1, FIELD)

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        axis, geometry = self._geometry(bottom[0])
        out = geometry.convolved(bottom[0][axis + 1 :], FIELD)
        rows = bottom[0][axis] * math.prod(geometry.kernel)
        return [(*bottom[0][:axis], rows, *out)]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        axis, geometry = self._geometry(bottom[0].shape)
        self.shape = convolution_shape(geometry, 1, bottom[0].shape, top[0].shape, axis)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.im2col(shape={"x": bottom[0].data, **self.shape}, columns=top[0].data)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.col2im(shape=self.shape, columns=top[0].diff, x=bottom[0].diff)
