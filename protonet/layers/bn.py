"""BN: batch normalisation with slope and bias in one layer, of SegNet and of PSPNet."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.protonet_pb2 import BNParameter, FillerParameter

from .base import TEST, Between, Layer, LayerError, Parameter, Shape
from .registry import register

FIELD = "bn_param"
SEGNET = ("scale_filler", "shift_filler", "bn_mode")
PSPNET = ("slope_filler", "bias_filler", "momentum", "eps", "frozen")
SEGNET_EPS = 1e-9


@register("BN")
class BN(Layer):
    """y = slope · (x − μ) / √(σ² + eps) + bias per channel (axis 1). Two forks' layers of one name.

    Shapes:     any → the same; slope and bias are 1×C×1×1.
    SegNet's:   scale_filler, shift_filler; bn_mode LEARN: μ, σ² of this batch, in TEST too, and
                eps 1e-9; INFERENCE: y = slope·x + bias. Second and third tops: μ and σ² (1×C×1×1).
    PSPNet's:   slope_filler, bias_filler, eps (1e-5), momentum m (0.9), frozen. Two more blobs, the
                running μ and σ²: in TEST or if frozen they are used, else they become
                m·running + (1 − m)·batch. frozen keeps slope and bias as they are, too.
    Parameters: bn_param: see each fork's.
    Rules:      the names of the fields tell the two apart; without any, four `param`s mean
                PSPNet's, else it is SegNet's.
    Gradient:   dx = slope (dy − mean(dy) − z·mean(dy·z)) / √(σ² + eps), z the normalised x;
                dslope = Σ dy·z, dbias = Σ dy; with running μ, σ² dx = slope dy / √(σ² + eps).
    Source:     Ioffe and Szegedy 2015; forks of caffe-segnet, DeconvNet; PSPNet, ICNet.
    """

    tops = Between(1, 3)
    in_place = True

    def setup(self) -> None:
        self.settings = self.param.bn_param
        of_segnet = [name for name in SEGNET if self.settings.HasField(name)]
        of_pspnet = [name for name in PSPNET if self.settings.HasField(name)]
        if of_segnet and of_pspnet:
            raise LayerError(
                f"{of_segnet[0]} belongs to SegNet's BN, {of_pspnet[0]} to PSPNet's: they cannot "
                "be mixed",
                field=(FIELD, of_pspnet[0]),
            )
        self.keeps_running = bool(of_pspnet) or (not of_segnet and len(self.param.param) == 4)
        self.guessed = not (of_segnet or of_pspnet)
        if self.settings.eps < 0:
            raise LayerError("eps must not be negative", field=(FIELD, "eps"))
        if not 0 <= self.settings.momentum <= 1:
            raise LayerError("momentum must be from 0 to 1", field=(FIELD, "momentum"))
        if self.keeps_running and self.top_count > 1:
            raise LayerError("PSPNet's BN has one top", field=("top", 1), code="E104")
        self.only_scales = not self.keeps_running and self.settings.bn_mode == BNParameter.INFERENCE
        if self.only_scales and self.top_count > 1:
            raise LayerError(
                "bn_mode INFERENCE has no statistics for more tops",
                field=("top", 1), code="E104",
            )  # fmt: skip

    def warnings(self) -> list[LayerError]:
        if not self.guessed:
            return []
        which = "PSPNet's, with running statistics" if self.keeps_running else "SegNet's"
        return [
            LayerError(
                f"two forks have a BN layer; this is taken as {which}",
                field=("type",),
                code="I214",
                help="bn_param tells them apart: scale_filler and shift_filler are SegNet's, "
                "slope_filler and bias_filler PSPNet's",
            )
        ]

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if len(bottom[0]) < 2:
            raise LayerError("the bottom must have a channel axis, axis 1", bottom=0)
        return [bottom[0], *[(1, bottom[0][1], 1, 1)] * (self.top_count - 1)]

    def parameters(self, bottom: list[Shape]) -> list[Parameter]:
        shape = (1, bottom[0][1], 1, 1)
        names = ("slope_filler", "bias_filler") if self.keeps_running else SEGNET[:2]
        learns = not (self.keeps_running and self.settings.frozen)
        found = [
            Parameter(shape, getattr(self.settings, name), (FIELD, name), learnable=learns)
            for name in names
        ]
        if self.keeps_running:
            one = FillerParameter(value=1) if self.settings.frozen else None
            found += [Parameter(shape, learnable=False), Parameter(shape, one, learnable=False)]
        return found

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape, dtype = bottom[0].shape, bottom[0].dtype
        channels = shape[1]
        self.size = {"outer": shape[0], "channels": channels, "inner": math.prod(shape[2:])}
        self.uses_running = self.keeps_running and (self.settings.frozen or self.phase == TEST)
        # Working in place overwrites the x that the gradients need.
        kept = top[0] is bottom[0] and (self.propagate_down[0] or any(self.param_propagate_down))
        self.kept = np.zeros_like(bottom[0].data) if kept else None
        running = [blob.data for blob in self.blobs[2:]] if self.keeps_running else [None, None]
        self.arguments: dict[str, Any] = {
            "slope": self.blobs[0].data, "bias": self.blobs[1].data,
            "mean": top[1].data if len(top) > 1 else np.zeros(channels, dtype),
            "variance": top[2].data if len(top) > 2 else None,
            "inverse_std": np.zeros(channels, dtype),
            "running_mean": running[0], "running_variance": running[1],
            "use_running": self.uses_running,
            "eps": self.settings.eps if self.keeps_running else SEGNET_EPS,
            "momentum": self.settings.momentum, **self.size,
        }  # fmt: skip

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, y = bottom[0].data, top[0].data
        if self.kept is not None:
            kernels.copy(x=x, y=self.kept, n=bottom[0].count)
        if self.only_scales:
            slope, bias = (blob.data for blob in self.blobs)
            kernels.scale(x=x, scale=slope, bias=bias, y=y, **self.size)
        else:
            kernels.bn(x=x, y=y, **self.arguments)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        dslope, dbias = (
            blob.diff if wanted else None
            for blob, wanted in zip(self.blobs[:2], self.param_propagate_down, strict=False)
        )
        x = bottom[0].data if self.kept is None else self.kept
        dy, dx = top[0].diff, bottom[0].diff if self.propagate_down[0] else None
        if not self.only_scales:
            kernels.bn_backward(
                shape={"x": x, **self.arguments}, dy=dy, dx=dx, dslope=dslope, dbias=dbias
            )
            return
        if dslope is not None or dbias is not None:
            kernels.scale_gradient(x=x, dy=dy, dscale=dslope, dbias=dbias, keep=1, **self.size)
        if dx is not None:
            kernels.scale(x=dy, scale=self.blobs[0].data, y=dx, **self.size)
