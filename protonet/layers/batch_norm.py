"""BatchNorm, by the statistics of the batch or those gathered in training; MVN, image by image."""

from __future__ import annotations

import math

import numpy as np

from protonet import kernels
from protonet.blob import Blob

from .base import TEST, Layer, LayerError, Parameter, Shape
from .registry import register


@register("BatchNorm")
class BatchNorm(Layer):
    """y = (x − μ) / √(σ² + eps) per channel (axis 1); no γ and β: follow it with Scale.

    Shapes:     any → the same; blobs: mean (C), variance (C), weight (1), all from 0.
    Parameters: use_global_stats (unset: in TEST), moving_average_fraction f (.999), eps (1e-5).
    Formula:    batch statistics: μ, σ² over all but the channel axis (σ² biased), and
                mean ← f·mean + μ, variance ← f·variance + m/(m−1)·σ², weight ← f·weight + 1,
                m elements a channel. Global: mean and variance divided by weight (0 → 0).
    Gradient:   dx = (dy − mean(dy) − y·mean(dy·y)) / √(σ² + eps); global: dy / √(σ² + eps).
    Rules:      the blobs are statistics, never learned: an lr_mult other than 0 is refused.
    Source:     Ioffe and Szegedy 2015; Caffe 1.0.
    """

    in_place = True

    def setup(self) -> None:
        self.settings = self.param.batch_norm_param
        self.use_global = (
            self.settings.use_global_stats
            if self.settings.HasField("use_global_stats")
            else self.phase == TEST
        )
        for number, spec in enumerate(self.param.param):
            if spec.lr_mult != 0:
                raise LayerError(
                    "batch-norm's statistics are not learned: lr_mult must be 0",
                    field=("param", number, "lr_mult"),
                    help="write `param { lr_mult: 0 }` three times, or leave it out",
                )
        if self.settings.eps < 0:
            raise LayerError("eps must not be negative", field=("batch_norm_param", "eps"))

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if not bottom[0]:
            raise LayerError("a scalar has no batch to normalise over", bottom=0)
        return [bottom[0]]

    def parameters(self, bottom: list[Shape]) -> list[Parameter]:
        channels = bottom[0][1] if len(bottom[0]) > 1 else 1
        return [Parameter(shape, learnable=False) for shape in ((channels,), (channels,), (1,))]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape = bottom[0].shape
        channels = shape[1] if len(shape) > 1 else 1
        self.size = {
            "outer": shape[0], "channels": channels, "inner": math.prod(shape[2:]),
        }  # fmt: skip
        self.mean = np.zeros(channels, bottom[0].dtype)
        self.inverse_std = np.zeros(channels, bottom[0].dtype)
        # In place, x is gone when the backward pass wants it, and y may be overwritten too.
        in_place = top[0] is bottom[0] and self.propagate_down[0] and not self.use_global
        self.normalized = np.zeros_like(bottom[0].data) if in_place else None
        self.running = {
            "running_mean": self.blobs[0].data,
            "running_variance": self.blobs[1].data,
            "running_weight": self.blobs[2].data,
        }

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        if self.use_global:
            kernels.batch_norm_global(
                x=bottom[0].data, y=top[0].data, inverse_std=self.inverse_std,
                eps=self.settings.eps, **self.running, **self.size,
            )  # fmt: skip
        else:
            kernels.batch_norm(
                x=bottom[0].data, y=top[0].data, normalized=self.normalized, mean=self.mean,
                inverse_std=self.inverse_std, eps=self.settings.eps,
                fraction=self.settings.moving_average_fraction, **self.running, **self.size,
            )  # fmt: skip

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if not self.propagate_down[0]:
            return
        if self.use_global:
            kernels.scale(x=top[0].diff, scale=self.inverse_std, y=bottom[0].diff, **self.size)
        else:
            kernels.batch_norm_backward(
                normalized=self.normalized, x=bottom[0].data, mean=self.mean,
                inverse_std=self.inverse_std, dy=top[0].diff, dx=bottom[0].diff, **self.size,
            )  # fmt: skip


@register("MVN")
class MVN(Layer):
    """y = (x − μ) / (σ + eps) for each channel of each image by itself.

    Shapes:     N×C×H×W → the same (up to 4 axes; missing ones count as 1).
    Parameters: normalize_variance (true; false: only − μ), across_channels (false; true: μ and σ
                over C×H×W), eps (1e-9, added to the standard deviation).
    Gradient:   dx = (dy − mean(dy) − y·mean(dy·y)) / (σ + eps).
    Rules:      the gradient takes eps for nothing beside σ. (Caffe 1.0)
    Source:     Caffe 1.0.
    """

    in_place = True

    def setup(self) -> None:
        if self.param.mvn_param.eps < 0:
            raise LayerError("eps must not be negative", field=("mvn_param", "eps"))

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if len(bottom[0]) > 4:
            raise LayerError(f"at most 4 axes are possible, not {len(bottom[0])}", bottom=0)
        return [bottom[0]]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        settings = self.param.mvn_param
        axes = 1 if settings.across_channels else 2
        rows = math.prod(bottom[0].shape[:axes])
        self.size = {"rows": rows, "size": math.prod(bottom[0].shape[axes:])}
        self.std = np.zeros(rows, bottom[0].dtype) if settings.normalize_variance else None

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        eps = self.param.mvn_param.eps
        kernels.mvn(x=bottom[0].data, y=top[0].data, std=self.std, eps=eps, **self.size)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.mvn_backward(
                y=top[0].data, std=self.std, dy=top[0].diff, dx=bottom[0].diff, **self.size
            )
