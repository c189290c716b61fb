"""Optical flow: Correlation, FlowWarp, ChannelNorm."""

from __future__ import annotations

import math
from typing import Any

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.protonet_pb2 import CorrelationParameter, FlowWarpParameter

from .base import Exactly, Layer, LayerError, Shape, shape_text
from .registry import register


@register("Correlation")
class Correlation(Layer):
    """How alike each patch of one feature map is to the patches around its place in another.

    Shapes:     a and b N×C×H×W → N×(2R+1)²×H'×W', R = max_displacement / stride_2 rounded down,
                H' = (H + 2P − 2(max_displacement + (K−1)/2)) / stride_1, rounded up.
    Parameters: correlation_param kernel_size (K, odd), max_displacement (D), pad (P), stride_1 (S),
                stride_2 (T), correlation_type MULTIPLY or SUBTRACT.
    Formula:    y[n, (2R+1)·p + q, h, w] = mean over c, i, j of
                a[n, c, S·h + D − P + i, S·w + D − P + j]
                · b[…, S·h + D − P + i + T(p − R), S·w + D − P + j + T(q − R)];
                SUBTRACT: |a − b| in place of the product; both are 0 outside.
    Gradient:   da: each dy times the b it met (SUBTRACT: times the sign of a − b), db likewise.
    Source:     FlowNet (Dosovitskiy et al. 2015) and its fork of Caffe.
    """

    bottoms = Exactly(2)

    def setup(self) -> None:
        self.settings = settings = self.param.correlation_param
        for name in ("kernel_size", "max_displacement"):
            if not settings.HasField(name):
                raise LayerError(f"{name} must be given", field=("correlation_param",))
        if settings.kernel_size % 2 == 0:
            raise LayerError(
                f"kernel_size must be odd, not {settings.kernel_size}",
                field=("correlation_param", "kernel_size"),
            )
        for name in ("stride_1", "stride_2"):
            if getattr(settings, name) < 1:
                raise LayerError(f"{name} must be at least 1", field=("correlation_param", name))
        self.radius = settings.max_displacement // settings.stride_2

    def warnings(self) -> list[LayerError]:
        return [
            LayerError(f"{name} has no effect", field=("correlation_param", name), code="W211")
            for name in ("do_abs", "single_direction")
            if self.settings.HasField(name)
        ]

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if len(bottom[0]) != 4 or bottom[0] != bottom[1]:
            raise LayerError(
                f"both maps must be N×C×H×W of one shape, not {shape_text(bottom[0])} "
                f"and {shape_text(bottom[1])}",
                bottom=1,
            )
        settings = self.settings
        border = 2 * (settings.max_displacement + settings.kernel_size // 2)
        out = []
        for size in bottom[0][2:]:
            inside = size + 2 * settings.pad - border
            if inside < 1:
                raise LayerError(
                    f"displacement and kernel do not fit a {shape_text(bottom[0][2:])} map",
                    field=("correlation_param", "max_displacement"),
                    label=f"{size} + 2·{settings.pad} − {border} = {inside}".replace("-", "−"),
                    code="E204",
                    help=f"pad must be at least {(border - size) // 2 + 1}",
                )
            out.append(-(-inside // settings.stride_1))
        return [(bottom[0][0], (2 * self.radius + 1) ** 2, *out)]

    def macs(self, bottom: list[Shape], top: list[Shape]) -> int:
        return math.prod(top[0]) * bottom[0][1] * int(self.settings.kernel_size) ** 2

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        n, channels, height, width = bottom[0].shape
        settings = self.settings
        self.arguments: dict[str, Any] = {
            "a": bottom[0].data, "b": bottom[1].data, "n": n, "channels": channels,
            "height": height, "width": width,
            "out_height": top[0].shape[2], "out_width": top[0].shape[3],
            "pad": settings.pad, "kernel": settings.kernel_size,
            "displacement": settings.max_displacement, "radius": self.radius,
            "stride_1": settings.stride_1, "stride_2": settings.stride_2,
            "subtract": settings.correlation_type == CorrelationParameter.SUBTRACT,
        }  # fmt: skip

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.correlation(y=top[0].data, **self.arguments)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        for index, wanted in enumerate(self.propagate_down):
            if wanted:
                kernels.correlation_backward(
                    shape=self.arguments, dy=top[0].diff, dx=bottom[index].diff, second=index
                )


@register("FlowWarp")
class FlowWarp(Layer):
    """An image fetched along a flow: each pixel from where its flow points, between four pixels.

    Shapes:     image N×C×H×W, flow N×2×H×W (to the right, down, in pixels) → N×C×H×W.
    Parameters: flow_warp_param fill_value: ZERO or NOT_A_NUMBER where the flow leads outside.
    Formula:    y[n,c,h,w] = image[n, c] at (h + flow[n,1,h,w], w + flow[n,0,h,w]), bilinear
    Gradient:   each dy goes to the four pixels by their weights, and to the flow by their
                differences; 0 where the flow leads outside.
    Source:     FlowNet 2.0 (Ilg et al. 2017) and its fork of Caffe.
    """

    bottoms = Exactly(2)

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        image, flow = bottom
        if len(image) != 4:
            raise LayerError(f"the image must be N×C×H×W, not {shape_text(image)}", bottom=0)
        wanted = (image[0], 2, *image[2:])
        if flow != wanted:
            raise LayerError(
                f"the flow of {shape_text(image)} must be {shape_text(wanted)}, "
                f"not {shape_text(flow)}",
                bottom=1,
            )
        return [image]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        n, channels, height, width = bottom[0].shape
        is_zero = self.param.flow_warp_param.fill_value == FlowWarpParameter.ZERO
        self.arguments: dict[str, Any] = {
            "x": bottom[0].data, "flow": bottom[1].data, "n": n, "channels": channels,
            "height": height, "width": width, "fill": 0.0 if is_zero else math.nan,
        }  # fmt: skip

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.flow_warp(y=top[0].data, **self.arguments)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        dy = top[0].diff
        if self.propagate_down[0]:
            kernels.flow_warp_backward_image(shape=self.arguments, dy=dy, dx=bottom[0].diff)
        if self.propagate_down[1]:
            kernels.flow_warp_backward_flow(shape=self.arguments, dy=dy, dflow=bottom[1].diff)


@register("ChannelNorm")
class ChannelNorm(Layer):
    """y = √(Σ over c of x²), the length of each position's vector.

    Shapes:   N×C×… → N×1×….
    Gradient: dx = dy · x / (y + 1e-9).
    Source:   FlowNet 2.0 (Ilg et al. 2017) and its fork of Caffe.
    """

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if len(bottom[0]) < 2:
            raise LayerError("the bottom must have a channel axis, axis 1", bottom=0)
        return [(bottom[0][0], 1, *bottom[0][2:])]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape = bottom[0].shape
        self.arguments: dict[str, Any] = {
            "x": bottom[0].data, "y": top[0].data,
            "outer": shape[0], "channels": shape[1], "inner": math.prod(shape[2:]),
        }  # fmt: skip

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.channel_norm(**self.arguments)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.channel_norm_backward(shape=self.arguments, dy=top[0].diff, dx=bottom[0].diff)
