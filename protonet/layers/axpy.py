"""Axpy: a scaled sum, as squeeze-and-excitation blocks end."""

from __future__ import annotations

import math

from protonet import kernels
from protonet.blob import Blob

from .base import Exactly, Layer, LayerError, Shape, shape_text
from .registry import register


@register("Axpy")
class Axpy(Layer):
    """z = a · x + y, with one a for each channel of each image.

    Shapes:   a N×C or N×C×1×1, x and y N×C×H×W → N×C×H×W.
    Gradient: da = Σ over h, w of dz · x, dx = a · dz, dy = dz.
    Source:   SENet (Hu, Shen and Sun 2018) and its fork of Caffe.
    """

    bottoms = Exactly(3)

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        a, x, y = bottom
        if x != y:
            raise LayerError(
                f"what is scaled, {shape_text(x)}, and what is added, {shape_text(y)}, "
                "must have one shape",
                bottom=2,
            )
        if len(x) < 2 or a[:2] != x[:2] or math.prod(a[2:]) != 1:
            raise LayerError(
                f"the factors are {shape_text(a)}, but {shape_text(x)} needs one for each channel "
                "of each image",
                bottom=0,
            )
        return [x]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape = bottom[1].shape
        self.rows, self.inner = math.prod(shape[:2]), math.prod(shape[2:])

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.scaled_sum(
            scale=bottom[0].data, x=bottom[1].data, z=bottom[2].data, y=top[0].data,
            rows=self.rows, inner=self.inner,
        )  # fmt: skip

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        size = {"outer": 1, "channels": self.rows, "inner": self.inner}
        dz = top[0].diff
        if self.propagate_down[0]:
            kernels.scale_gradient(x=bottom[1].data, dy=dz, dscale=bottom[0].diff, keep=0, **size)
        if self.propagate_down[1]:
            kernels.scale(x=dz, scale=bottom[0].data, y=bottom[1].diff, **size)
        if self.propagate_down[2]:
            kernels.copy(x=dz, y=bottom[2].diff, n=top[0].count)
