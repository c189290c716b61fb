"""Losses of the distance between two blobs: ContrastiveLoss, L1Loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from protonet import kernels
from protonet.blob import Blob

from .base import Between, Exactly, Layer, LayerError, Shape, shape_text
from .registry import register


class DistanceLoss(Layer):
    """A scalar loss of how far bottom 1 is from bottom 0; both get a gradient."""

    automatic_tops = 1
    is_loss = True

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if not bottom[0]:
            raise LayerError("a scalar has no batch", bottom=0)
        if len(bottom) > 1 and bottom[1] != bottom[0]:
            raise LayerError(
                f"both must have one shape, but {shape_text(bottom[1])} "
                f"is not {shape_text(bottom[0])}",
                bottom=1,
            )
        return [()]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.arguments = self.kernel_arguments(bottom, top)

    def kernel_arguments(self, bottom: list[Blob], top: list[Blob]) -> dict[str, Any]:
        """Returns the struct of the forward kernel, which the backward one holds as `shape`."""
        raise NotImplementedError


@register("ContrastiveLoss")
class ContrastiveLoss(DistanceLoss):
    """Pulls similar pairs together and pushes others apart, up to a margin.

    Shapes:     a and b N×C, similar N (0 or 1) → scalar.
    Parameters: contrastive_loss_param margin (1), legacy_version (false).
    Formula:    with d = |a − b|: 1/2N Σ s·d² + (1 − s)·max(margin − d, 0)²;
                legacy_version: max(margin − d², 0) in place of the square
    Gradient:   da = (a − b)/N for a similar pair, −(margin − d)(a − b)/((d + 1e-4) N) for another
                within the margin (legacy −(a − b)/N), else 0; db = −da; `similar` has none.
    Source:     Hadsell, Chopra and LeCun 2006; the 1e-4 is Caffe's.
    """

    bottoms = Exactly(3)
    labels = (2,)

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        tops = super().infer(bottom)
        if math.prod(bottom[0][2:]) != 1:
            raise LayerError(
                f"the feature vectors must be N×C, not {shape_text(bottom[0])}",
                bottom=0,
                help="put a Flatten layer before this one",
            )
        if math.prod(bottom[2]) != bottom[0][0] or not bottom[2]:
            raise LayerError(
                f"{bottom[0][0]} pairs need as many marks of similarity, "
                f"not {shape_text(bottom[2])}",
                bottom=2,
            )
        return tops

    def kernel_arguments(self, bottom: list[Blob], top: list[Blob]) -> dict[str, Any]:
        settings = self.param.contrastive_loss_param
        rows = bottom[0].shape[0]
        self.bad = np.full(1, -1, np.int64)
        return {
            "a": bottom[0].data, "b": bottom[1].data, "similar": bottom[2].data, "bad": self.bad,
            "squares": np.empty(rows, bottom[0].dtype), "loss": top[0].data,
            "rows": rows, "size": math.prod(bottom[0].shape[1:]),
            "margin": settings.margin, "legacy": settings.legacy_version,
        }  # fmt: skip

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.contrastive_loss(**self.arguments)

    def judge(self, bottom: list[Blob]) -> None:
        if self.bad[0] >= 0:
            raise LayerError(
                f"mark {self.bad[0]} of similarity is not a number", bottom=2, code="E208"
            )

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        for index, sign in enumerate((1.0, -1.0)):
            if self.propagate_down[index]:
                kernels.contrastive_loss_backward(
                    shape=self.arguments, dy=top[0].diff, dx=bottom[index].diff, sign=sign
                )


@register("L1Loss")
class L1Loss(DistanceLoss):
    """loss = Σ |a − b| / N, or per position the Euclidean length of the difference.

    Shapes:     a and b N×C×H×W; b may be left out and counts as 0 → scalar.
    Parameters: l1_loss_param l2_per_location (false), l2_prescale_by_channels (false),
                normalize_by_num_entries (false), epsilon (0.01), plateau (0).
    Formula:    Σ |d| / N, |d| < plateau as 0; with l2_per_location
                Σ over n, h, w of √(w Σ_c d² + epsilon) / N, w = 1 or 1/C (prescale), a sum below
                plateau² as 0. normalize_by_num_entries: entries that are numbers / C for N.
    Gradient:   da = sign(d)/N, or w d/√(…)/N; 0 on a plateau; db = −da.
    Rules:      a difference that is not a number adds nothing: unknown ground truth is NaN.
    Source:     FlowNet (Dosovitskiy et al. 2015) and its Caffe fork; without parameters the L1Loss
                of NVIDIA's fork.
    """

    bottoms = Between(1, 2)

    def setup(self) -> None:
        self.normalizer = np.ones(1, np.float64)
        settings = self.param.l1_loss_param
        for name in ("epsilon", "plateau"):
            if getattr(settings, name) < 0:
                raise LayerError(f"{name} must not be negative", field=("l1_loss_param", name))

    def kernel_arguments(self, bottom: list[Blob], top: list[Blob]) -> dict[str, Any]:
        settings = self.param.l1_loss_param
        shape = bottom[0].shape
        channels = shape[1] if len(shape) > 1 else 1
        return {
            "a": bottom[0].data, "b": bottom[1].data if len(bottom) == 2 else None,
            "loss": top[0].data, "normalizer": self.normalizer,
            "outer": shape[0], "channels": channels, "inner": math.prod(shape[2:]),
            "per_location": settings.l2_per_location,
            "by_entries": settings.normalize_by_num_entries,
            "weight": 1 / channels if settings.l2_prescale_by_channels else 1,
            "epsilon": settings.epsilon, "plateau": settings.plateau,
        }  # fmt: skip

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.l1_loss(**self.arguments)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        for blob, wanted, sign in zip(bottom, self.propagate_down, (1.0, -1.0), strict=False):
            if wanted:
                kernels.l1_loss_backward(
                    shape=self.arguments, dy=top[0].diff, dx=blob.diff, sign=sign
                )
