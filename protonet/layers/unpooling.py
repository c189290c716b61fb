"""Undoing a pooling: values back to where their maxima were, or pixels repeated."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.protonet_pb2 import LayerParameter, UnpoolingParameter

from .base import TEST, Between, Exactly, Layer, LayerError, Shape, shape_text
from .picking import PickedPixels
from .registry import register
from .sampling import judge_pixels, nearest

__all__ = ["MaskUnpooling"]


class MaskUnpooling(Layer):
    """y[mask] = x in each plane, 0 elsewhere; mask is the second top of a max pooling.

    What a subclass tells is the size of the plane. An index twice in a plane: the last value
    stays, and both get the gradient.
    """

    bottoms = Exactly(2)
    labels: ClassVar[tuple[int, ...]] = (1,)

    def plane(self, size: Shape) -> Shape:
        """Returns the output's plane for an input plane."""
        raise NotImplementedError

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if len(bottom[0]) != 4:
            raise LayerError(
                f"{self.type} takes N×C×H×W, not {len(bottom[0])} axes ({shape_text(bottom[0])})",
                bottom=0,
            )
        if len(bottom) == 2 and bottom[1] != bottom[0]:
            raise LayerError(
                f"the mask is {shape_text(bottom[1])}, but there must be one index for each value "
                f"of {shape_text(bottom[0])}",
                bottom=1,
                help="name the second top of the pooling that is to be undone",
            )
        return [(*bottom[0][:2], *self.plane(bottom[0][2:]))]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.bad = np.full(1, -1, np.int64)
        self.out = top[0].shape[2:]
        self.size: dict[str, int] = {
            "planes": math.prod(bottom[0].shape[:2]),
            "size": math.prod(bottom[0].shape[2:]),
            "out": math.prod(self.out),
        }

    def index(self, bottom: list[Blob]) -> np.ndarray:
        """Returns where each value goes."""
        return bottom[1].data

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.unpool(
            x=bottom[0].data, index=self.index(bottom), y=top[0].data, bad=self.bad, **self.size
        )

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.unpool_backward(
                index=self.index(bottom), dy=top[0].diff, dx=bottom[0].diff, **self.size
            )

    def judge(self, bottom: list[Blob]) -> None:
        if self.bad[0] >= 0:
            raise LayerError(
                f"index {self.index(bottom).reshape(-1)[self.bad[0]]:g} (element {self.bad[0]}) "
                f"is outside a plane of {shape_text(self.out)}",
                bottom=self.bottom_count - 1,
                code="E209",
                help="the output must have the size that the pooling's input had",
            )


@register("Upsample")
class Upsample(Layer):
    """y[mask] = x, 0 elsewhere; with one bottom each pixel repeated, y[h] = x[h / scale].

    Shapes:     N×C×H×W, and a mask of the same shape → N×C×H'×W'; H' = upsample_h, or scale·H,
                less 1 if pad_out_h. With one bottom its last two axes grow by scale.
    Parameters: upsample_param scale (2 with a mask, else 1), scale_h and scale_w, upsample_h and
                upsample_w, pad_out_h, pad_out_w (the pooled plane was odd); dims_num (one bottom:
                4, or 3: only the last axis grows).
    Gradient:   dx = dy[mask]; repeated pixels: the sum of their dy.
    Source:     SegNet (Badrinarayanan et al. 2015) and its fork; one bottom: YOLO's forks.
    """

    bottoms = Between(1, 2)

    def __new__(cls, param: LayerParameter, phase: int = TEST) -> Upsample:
        return super().__new__(UpsampleByMask if len(param.bottom) == 2 else RepeatedPixels)

    def setup(self) -> None:
        self.settings = settings = self.param.upsample_param
        for name in ("scale", "scale_h", "scale_w", "upsample_h", "upsample_w"):
            if settings.HasField(name) and getattr(settings, name) < 1:
                raise LayerError(f"{name} must be at least 1", field=("upsample_param", name))
        for first, second in (("scale_h", "scale_w"), ("upsample_h", "upsample_w")):
            given = [name for name in (first, second) if settings.HasField(name)]
            if len(given) == 1:
                raise LayerError(
                    f"{first} and {second} go together", field=("upsample_param", given[0])
                )
        plain = settings.scale if settings.HasField("scale") or self.bottom_count == 1 else 2
        self.scale = (
            (settings.scale_h, settings.scale_w) if settings.HasField("scale_h") else (plain,) * 2
        )
        for name, scale in zip(("pad_out_h", "pad_out_w"), self.scale, strict=True):
            if getattr(settings, name) and scale != 2:
                raise LayerError(
                    f"{name} goes with a scale of 2", field=("upsample_param", name),
                    help="give the size itself: upsample_h and upsample_w",
                )  # fmt: skip

    def plane(self, size: Shape) -> Shape:
        """Returns the output's plane for an input plane."""
        if self.settings.HasField("upsample_h"):
            return (self.settings.upsample_h, self.settings.upsample_w)
        less = (self.settings.pad_out_h, self.settings.pad_out_w)
        return tuple(h * s - minus for h, s, minus in zip(size, self.scale, less, strict=True))


class UpsampleByMask(Upsample, MaskUnpooling):
    """Upsample with two bottoms."""


class RepeatedPixels(Upsample, PickedPixels):
    """Upsample with one bottom."""

    def setup(self) -> None:
        super().setup()
        if self.settings.dims_num not in (3, 4):
            raise LayerError("dims_num must be 3 or 4", field=("upsample_param", "dims_num"))
        if self.settings.dims_num == 3:
            self.scale = (1, self.scale[1])

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if len(bottom[0]) < 2:
            raise LayerError("the bottom needs two axes to grow along", bottom=0)
        plane = self.plane(bottom[0][-2:])
        judge_pixels(bottom[0], plane)
        return [(*bottom[0][:-2], *plane)]

    def indices(self, size: Shape, out: Shape) -> tuple[np.ndarray, np.ndarray]:
        return nearest(size[0], out[0], "origin"), nearest(size[1], out[1], "origin")


@register("MaxUnPool")
class MaxUnPool(MaskUnpooling):
    """y[mask] = x in each plane, 0 elsewhere; mask is the second top of a max pooling.

    Shapes:     N×C×H×W, and a mask of the same shape → N×C×dst_h×dst_w.
    Parameters: max_unpool_param dst_h, dst_w.
    Gradient:   dx = dy[mask].
    Source:     the fork of brocolli.
    """

    def setup(self) -> None:
        settings = self.param.max_unpool_param
        for name in ("dst_h", "dst_w"):
            if getattr(settings, name) < 1:
                raise LayerError(
                    f"{name} must be at least 1",
                    field=("max_unpool_param", *([name] if settings.HasField(name) else [])),
                )

    def plane(self, size: Shape) -> Shape:
        return (self.param.max_unpool_param.dst_h, self.param.max_unpool_param.dst_w)


@register("Unpooling")
class Unpooling(MaskUnpooling):
    """y[mask] = x in each window, 0 elsewhere: undoes a max pooling.

    Shapes:     N×C×H×W, and a mask of the same shape → N×C×H'×W'; H' = unpool_size, else
                (H − 1)·S + F − 2P.
    Parameters: unpooling_param unpool (MAX), kernel_size (F), stride (S), pad (P), unpool_size;
                each also as _h and _w. Or the pooling_param of the pooling that is undone.
    Gradient:   dx = dy[mask].
    Rules:      two bottoms: the second is the mask, the second top of a max pooling. One: each x
                goes to the first pixel of its window.
    Source:     Noh, Hong and Han 2015, DeconvNet, and its fork of Caffe.
    """

    bottoms = Between(1, 2)

    def setup(self) -> None:
        self.is_deconvnets = not self.param.HasField("pooling_param")
        self.field = "unpooling_param" if self.is_deconvnets else "pooling_param"
        self.settings: Any = getattr(self.param, self.field)
        method = "unpool" if self.is_deconvnets else "pool"
        if getattr(self.settings, method) != UnpoolingParameter.MAX:
            raise LayerError("only MAX pooling can be undone", field=(self.field, method))
        self.kernel = _pair(self.settings, "kernel", "kernel_size", self.field)
        self.stride = _pair(self.settings, "stride", "stride", self.field)
        self.pad = _pair(self.settings, "pad", "pad", self.field)
        if min(self.stride) < 1:
            raise LayerError("stride must be at least 1", field=(self.field, "stride"))

    def plane(self, size: Shape) -> Shape:
        if self.is_deconvnets:
            wanted = _pair(self.settings, "unpool", "unpool_size", self.field)
            if min(wanted) >= 1:
                return wanted
        out = tuple(
            (h - 1) * s + f - 2 * p
            for h, s, f, p in zip(size, self.stride, self.kernel, self.pad, strict=True)
        )
        if min(out) < 1:
            raise LayerError(
                f"the output would be {shape_text(out)}",
                field=(self.field,),
                code="E204",
                help="give kernel_size and stride of the pooling, or unpool_size",
            )
        return out

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        super().reshape(bottom, top)
        if len(bottom) == 1:
            rows, columns = (
                np.clip(np.arange(h) * s - p, 0, h_out - 1)
                for h, s, p, h_out in zip(
                    bottom[0].shape[2:], self.stride, self.pad, self.out, strict=True
                )
            )
            firsts = rows[:, None] * self.out[1] + columns
            self.firsts = np.tile(firsts, (*bottom[0].shape[:2], 1, 1)).astype(bottom[0].dtype)

    def index(self, bottom: list[Blob]) -> np.ndarray:
        return bottom[1].data if len(bottom) == 2 else self.firsts


def _pair(settings: Any, name: str, plain: str, field: str) -> tuple[int, int]:
    """Reads name_h and name_w, which go together, or the plain field."""
    given = [f"{name}_{axis}" for axis in "hw" if settings.HasField(f"{name}_{axis}")]
    if not given:
        return (getattr(settings, plain),) * 2
    if len(given) == 1:
        raise LayerError(f"{name}_h and {name}_w go together", field=(field, given[0]))
    if settings.HasField(plain):
        raise LayerError(f"give either {plain} or {name}_h and {name}_w", field=(field, plain))
    return getattr(settings, f"{name}_h"), getattr(settings, f"{name}_w")
