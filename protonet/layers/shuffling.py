"""Axes cut in parts and put in another order: ShuffleChannel, PixelShuffle, Transpose."""

from __future__ import annotations

import math

from protonet import kernels
from protonet.blob import Blob

from .base import Layer, LayerError, Shape, shape_text
from .moving import permute_walk
from .registry import register

__all__ = ["AxisShuffle"]


class AxisShuffle(Layer):
    """The bottom seen as a blob of more axes, whose order is changed. Gradient: dy put back.

    What a subclass tells are those axes and their new order.
    """

    def parts(self, shape: Shape) -> tuple[Shape, list[int]]:
        """Returns the finer shape and the order of its axes in the top."""
        raise NotImplementedError

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape, order = self.parts(bottom[0].shape)
        back = sorted(range(len(order)), key=order.__getitem__)
        self.there = permute_walk(shape, order)
        self.back = permute_walk(tuple(shape[axis] for axis in order), back)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.permute(x=bottom[0].data, y=top[0].data, **self.there)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.permute(x=top[0].diff, y=bottom[0].diff, **self.back)


@register("ShuffleChannel")
class ShuffleChannel(AxisShuffle):
    """Channels of g groups, taken from each group in turn.

    Shapes:     N×C×… → the same.
    Parameters: shuffle_channel_param group (g), which must divide C.
    Formula:    y[n, j·g + i] = x[n, i·C/g + j]
    Gradient:   dy with its channels put back.
    Source:     ShuffleNet (Zhang et al. 2017).
    """

    def setup(self) -> None:
        self.group = self.param.shuffle_channel_param.group
        if self.group < 1:
            raise LayerError("group must be at least 1", field=("shuffle_channel_param", "group"))

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if len(bottom[0]) < 2:
            raise LayerError("the bottom must have a channel axis, axis 1", bottom=0)
        if bottom[0][1] % self.group:
            raise LayerError(
                f"{bottom[0][1]} channels are not a multiple of group {self.group}",
                field=("shuffle_channel_param", "group"),
            )
        return [bottom[0]]

    def parts(self, shape: Shape) -> tuple[Shape, list[int]]:
        each = shape[1] // self.group
        return (shape[0], self.group, each, math.prod(shape[2:])), [0, 2, 1, 3]


@register("PixelShuffle")
class PixelShuffle(AxisShuffle):
    """r² channels become blocks of r×r pixels.

    Shapes:     N×C·r²×H×W → N×C×H·r×W·r; any axes before the last three.
    Parameters: pixelshuffle_param upscale_factor (r).
    Formula:    y[n, c, h·r + i, w·r + j] = x[n, c·r² + i·r + j, h, w]
    Gradient:   dy put back.
    Source:     Shi et al. 2016, Real-time single image super-resolution.
    """

    def setup(self) -> None:
        self.factor = self.param.pixelshuffle_param.upscale_factor
        if self.factor < 1:
            raise LayerError(
                "upscale_factor must be at least 1",
                field=("pixelshuffle_param", "upscale_factor"),
            )

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        shape, r = bottom[0], self.factor
        if len(shape) < 3 or shape[-3] % r**2:
            raise LayerError(
                f"the channels of {shape_text(shape)} are not a multiple of {r}² = {r**2}",
                field=("pixelshuffle_param", "upscale_factor"),
            )
        return [(*shape[:-3], shape[-3] // r**2, shape[-2] * r, shape[-1] * r)]

    def parts(self, shape: Shape) -> tuple[Shape, list[int]]:
        outer = math.prod(shape[:-3]) * (shape[-3] // self.factor**2)
        return (outer, self.factor, self.factor, shape[-2], shape[-1]), [0, 3, 1, 4, 2]


@register("Transpose")
class Transpose(AxisShuffle):
    """The axes in another order.

    Shapes:     top axis i is bottom axis dim[i].
    Parameters: transpose_param dim: every axis once. (Permute may leave axes out.)
    Formula:    y[i_dim[0], i_dim[1], …] = x[i₀, i₁, …].
    Gradient:   dy with its axes put back.
    Source:     CTPN's and CRNN's forks.
    """

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        order, rank = list(self.param.transpose_param.dim), len(bottom[0])
        if sorted(order) != list(range(rank)):
            raise LayerError(
                f"dim must name each of the axes 0 to {rank - 1} once, not {order}",
                field=("transpose_param", "dim", 0) if order else ("transpose_param",),
            )
        if rank > 8:
            raise LayerError(f"at most 8 axes are possible, not {rank}", bottom=0)
        return [tuple(bottom[0][axis] for axis in order)]

    def parts(self, shape: Shape) -> tuple[Shape, list[int]]:
        return shape, list(self.param.transpose_param.dim)
