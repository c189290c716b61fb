"""Pooling over windows of a plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.protonet_pb2 import PoolingParameter

from .base import TRAIN, Between, Exactly, LayerError, Shape, shape_text
from .random_state import RandomLayer
from .registry import register

FIELD = "pooling_param"


@register("Pooling")
class Pooling(RandomLayer):
    """Maximum, mean or a random element of each F×F window (stride S, zero padding P).

    Shapes:     N×C×H×W → N×C×H'×W', H' = ceil((H + 2P − F)/S) + 1, floor if round_mode is FLOOR.
    Parameters: pool (MAX, AVE, STOCHASTIC), kernel_size or kernel_h and kernel_w, stride, pad,
                global_pooling (one window: the whole plane), round_mode.
    Rules:      with padding, a last window that would start at or beyond H + P is dropped; the
                mean divides by the window clipped to H + P, so padding counts and overhang does
                not; the first of equal maxima wins, and a window outside the image, which needs
                S > F, gives the lowest number (MAX) or NaN (AVE). (Caffe 1.0)
                STOCHASTIC: in TRAIN an element drawn with probability x / Σx over the window, in
                TEST its expectation Σx² / Σx; values below 0 count as 0. (Zeiler, Fergus 2013)
    Tops:       1, or 2 for MAX: the second holds the index h·W + w of each maximum.
    Gradient:   goes to the maximum, or the drawn element, or to all of the window alike.
    Source:     Caffe 1.0; STOCHASTIC: Zeiler and Fergus 2013.
    """

    bottoms, tops = Exactly(1), Between(1, 2)

    def setup(self) -> None:
        self.settings = settings = self.param.pooling_param
        self.is_max = settings.pool == PoolingParameter.MAX
        self.is_mean = settings.pool == PoolingParameter.AVE
        self.stride = _pair(settings, "stride")
        self.pad = _pair(settings, "pad")
        self.kernel = self._global() if settings.global_pooling else self._kernel()
        self.window_size = self.kernel
        self.draws = settings.pool == PoolingParameter.STOCHASTIC and self.phase == TRAIN
        if self.top_count == 2 and not self.is_max:
            raise LayerError("a second top, the indices of maxima, is for MAX", field=("top", 1))
        if min(self.stride) < 1:
            raise LayerError("stride must be at least 1", field=(FIELD, "stride"))
        if any(self.pad) and not (self.is_max or self.is_mean):
            raise LayerError("padding is for MAX and AVE", field=(FIELD, "pad"))

    def _kernel(self) -> tuple[int, int]:
        settings = self.settings
        both = settings.HasField("kernel_h") and settings.HasField("kernel_w")
        either = settings.HasField("kernel_h") or settings.HasField("kernel_w")
        if settings.HasField("kernel_size") if either else not settings.HasField("kernel_size"):
            raise LayerError(
                "give either kernel_size or kernel_h and kernel_w",
                field=(FIELD, "kernel_size") if either else (FIELD,),
                help="" if either else "for one window over the whole plane: global_pooling: true",
            )
        if either and not both:
            given = "kernel_h" if settings.HasField("kernel_h") else "kernel_w"
            raise LayerError("kernel_h and kernel_w go together", field=(FIELD, given))
        kernel = (settings.kernel_h, settings.kernel_w) if both else (settings.kernel_size,) * 2
        if min(kernel) < 1:
            raise LayerError("kernel_size must be at least 1", field=(FIELD, "kernel_size"))
        for pad, size in zip(self.pad, kernel, strict=True):
            if pad >= size:
                raise LayerError(
                    f"pad {pad} must be below the kernel's size {size}",
                    field=(FIELD, "pad" if settings.HasField("pad") else "pad_h"),
                    help="a window that lies in the padding alone has nothing to pool",
                )
        return kernel

    def _global(self) -> tuple[int, int]:
        for name in ("kernel_size", "kernel_h", "kernel_w"):
            if self.settings.HasField(name):
                raise LayerError(
                    f"global_pooling takes the whole plane: leave out {name}", field=(FIELD, name)
                )
        if self.stride != (1, 1) or self.pad != (0, 0):
            raise LayerError(
                "global_pooling has one window: stride must be 1 and pad 0",
                field=(FIELD, "global_pooling"),
            )
        return (0, 0)

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if len(bottom[0]) != 4:
            raise LayerError(
                f"Pooling takes N×C×H×W, not {len(bottom[0])} axes ({shape_text(bottom[0])})",
                bottom=0,
            )
        if self.settings.global_pooling:
            self.window_size = bottom[0][2:]
        out = [self._pooled(axis, bottom[0][axis + 2]) for axis in range(2)]
        return [(*bottom[0][:2], *out)] * self.top_count

    def _pooled(self, axis: int, size: int) -> int:
        """Returns the output's size along an axis."""
        kernel, stride, pad = self.window_size[axis], self.stride[axis], self.pad[axis]
        floors = self.settings.round_mode == PoolingParameter.FLOOR or not self.settings.ceil_mode
        span = size + 2 * pad - kernel
        out = (span // stride if floors else -(-span // stride)) + 1
        if any(self.pad) and (out - 1) * stride >= size + pad:
            out -= 1
        if out < 1 and size:
            formula = f"{'HW'[axis]}' = ({size} + 2·{pad} − {kernel})/{stride} + 1 = {out}"
            plain = self.settings.HasField("kernel_size")
            raise LayerError(
                f"kernel {shape_text(self.window_size)} does not fit this input",
                field=(FIELD, "kernel_size" if plain else f"kernel_{'hw'[axis]}"),
                label=formula.replace("-", "−"),
                code="E204",
                help=f"kernel_size must be at most {size + 2 * pad}",
            )
        return out

    def window(self, rank: int) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
        return self.window_size, self.stride, self.pad

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        n, channels, height, width = bottom[0].shape
        out_height, out_width = top[0].shape[2:]
        self.shape: dict[str, Any] = {
            "planes": n * channels, "height": height, "width": width,
            "out_height": out_height, "out_width": out_width,
            "kernel_height": self.window_size[0], "kernel_width": self.window_size[1],
            "stride_height": self.stride[0], "stride_width": self.stride[1],
            "pad_height": self.pad[0], "pad_width": self.pad[1],
        }  # fmt: skip
        keeps = self.is_max and (self.propagate_down[0] or self.top_count == 2)
        self.mask = np.zeros(top[0].count, np.int32) if keeps or self.draws else None

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape = {"x": bottom[0].data, "y": top[0].data, **self.shape}
        if self.is_max:
            argmax = top[1].data if self.top_count == 2 else None
            kernels.max_pool(shape=shape, mask=self.mask, argmax=argmax)
        elif self.is_mean:
            kernels.average_pool(**shape)
        elif self.draws:
            kernels.stochastic_pool(shape=shape, mask=self.mask, state=self.counters)
        else:
            kernels.stochastic_mean(**shape)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if not self.propagate_down[0]:
            return
        dy, dx = top[0].diff, bottom[0].diff
        if self.mask is not None:
            kernels.pool_scatter(
                dy=dy, mask=self.mask, dx=dx, planes=self.shape["planes"],
                size=math.prod(bottom[0].shape[2:]), out=math.prod(top[0].shape[2:]),
            )  # fmt: skip
        elif self.is_mean:
            kernels.average_pool_backward(shape=self.shape, dy=dy, dx=dx)
        else:
            shape = {"x": bottom[0].data, "y": top[0].data, **self.shape}
            kernels.stochastic_mean_backward(shape=shape, dy=dy, dx=dx)


def _pair(settings: PoolingParameter, name: str) -> tuple[int, int]:
    """Reads name_h and name_w, which go together, or the plain field."""
    given = [f"{name}_{axis}" for axis in "hw" if settings.HasField(f"{name}_{axis}")]
    if not given:
        return (getattr(settings, name),) * 2
    if len(given) == 1:
        raise LayerError(f"{name}_h and {name}_w go together", field=(FIELD, given[0]))
    if settings.HasField(name):
        raise LayerError(f"give either {name} or {name}_h and {name}_w", field=(FIELD, name))
    return (getattr(settings, f"{name}_h"), getattr(settings, f"{name}_w"))
