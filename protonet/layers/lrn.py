"""LRN: local response normalisation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.protonet_pb2 import LRNParameter

from .base import Layer, LayerError, Shape, shape_text
from .registry import register


@register("LRN")
class LRN(Layer):
    """y = x · s^−beta, s = k + alpha/n · Σ x² over the neighbours.

    Shapes:     N×C×H×W → the same.
    Parameters: local_size n (odd), alpha, beta, k, norm_region.
    Rules:      ACROSS_CHANNELS: the neighbours are the n channels around, at the same place.
                WITHIN_CHANNEL: the n×n places around, in the same channel; n² takes the place of n
                and k is always 1. What lies outside is 0 and the divisor stays. (Caffe 1.0)
    Gradient:   dx = dy · s^−beta − 2·alpha·beta/n · x · Σ dy · y / s over the neighbours.
    Source:     Krizhevsky, Sutskever, Hinton 2012.
    """

    in_place = True

    def setup(self) -> None:
        self.settings = self.param.lrn_param
        if self.settings.local_size % 2 == 0:
            raise LayerError(
                f"local_size must be odd, not {self.settings.local_size}",
                field=("lrn_param", "local_size"),
                help="a window has as many neighbours before as after",
            )

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if len(bottom[0]) != 4:
            raise LayerError(f"LRN takes N×C×H×W, not {shape_text(bottom[0])}", bottom=0)
        return [bottom[0]]

    def window(self, rank: int) -> tuple[list[int], list[int], list[int]] | None:
        size = self.settings.local_size
        if self.settings.norm_region == LRNParameter.ACROSS_CHANNELS:
            return None
        return [size] * (rank - 2), [1] * (rank - 2), [size // 2] * (rank - 2)

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        n, channels, height, width = bottom[0].shape
        learns = self.propagate_down[0]
        self.scale = np.zeros(bottom[0].shape, bottom[0].dtype) if learns else None
        settings = self.settings
        self.across = settings.norm_region == LRNParameter.ACROSS_CHANNELS
        self.shape: dict[str, Any] = {
            "scale": self.scale,
            "size": settings.local_size,
            "alpha": settings.alpha,
            "beta": settings.beta,
        }
        if self.across:
            plane = math.prod((height, width))
            self.shape |= {"n": n, "channels": channels, "plane": plane, "k": settings.k}
        else:
            self.shape |= {"planes": n * channels, "height": height, "width": width}

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        run = kernels.lrn_across if self.across else kernels.lrn_within
        run(x=bottom[0].data, y=top[0].data, **self.shape)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            run = kernels.lrn_across_backward if self.across else kernels.lrn_within_backward
            run(shape={"y": top[0].data, **self.shape}, dy=top[0].diff, dx=bottom[0].diff)
