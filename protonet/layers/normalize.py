"""Normalize: SSD's scaled L2 norm."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.protonet_pb2 import FillerParameter

from .base import Layer, LayerError, Parameter, Shape, shape_text
from .registry import register


@register("Normalize")
class Normalize(Layer):
    """y = s · x / √(Σ x² + eps), with a learned scale s.

    Shapes:     N×C×… → the same; s is C, or a scalar if channel_shared.
    Parameters: across_spatial (true: Σ over a whole image; false: over the channels of each
                position), channel_shared (true), scale_filler (1), eps (1e-10).
    Gradient:   with n the root and u = x/n: dx = (s·dy − u·Σ s·dy·u) / n, ds += Σ dy·u.
    Rules:      SSD's own gradient is inexact where the scales differ; this one is exact.
    Source:     Liu et al. 2015 (ParseNet).
    """

    def setup(self) -> None:
        self.settings = self.param.norm_param
        if not self.settings.eps >= 0:
            raise LayerError("eps must not be negative", field=("norm_param", "eps"))

    def warnings(self) -> list[LayerError]:
        if self.param.HasField("norm_param"):
            return []
        return [
            LayerError(
                "read as SSD's Normalize, which has a learned scale and one norm for a whole image",
                field=("type",),
                code="W213",
                help="if that is meant, write norm_param { across_spatial: true }; "
                "NormFace's layer of this name has no scale and one norm for each position",
            )
        ]

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if len(bottom[0]) < 2:
            raise LayerError(f"N×C×… is needed, not {shape_text(bottom[0])}", bottom=0)
        return [bottom[0]]

    def parameters(self, bottom: list[Shape]) -> list[Parameter]:
        shape = () if self.settings.channel_shared else (bottom[0][1],)
        if not self.settings.HasField("scale_filler"):
            return [Parameter(shape, FillerParameter(type="constant", value=1))]
        return [Parameter(shape, self.settings.scale_filler, ("norm_param", "scale_filler"))]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        outer, channels, *rest = bottom[0].shape
        inner = math.prod(rest)
        across = self.settings.across_spatial
        self.norm = np.zeros(outer * (1 if across else inner), bottom[0].dtype)
        self.arguments: dict[str, Any] = {
            "x": bottom[0].data, "scale": self.blobs[0].data, "y": top[0].data, "norm": self.norm,
            "outer": outer, "channels": channels, "inner": inner, "across": across,
            "scale_step": not self.settings.channel_shared, "eps": self.settings.eps,
        }  # fmt: skip

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.l2_normalize(**self.arguments)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.param_propagate_down[0]:
            kernels.l2_normalize_gradient(
                shape=self.arguments, dy=top[0].diff, dscale=self.blobs[0].diff
            )
        if self.propagate_down[0]:
            kernels.l2_normalize_backward(shape=self.arguments, dy=top[0].diff, dx=bottom[0].diff)
