"""Dropout."""

from __future__ import annotations

import numpy as np

from protonet import kernels
from protonet.blob import Blob

from .base import TRAIN, LayerError, Shape
from .random_state import RandomLayer
from .registry import register


@register("Dropout")
class Dropout(RandomLayer):
    """Sets elements to 0 at random, and scales the others so that the expectation stays.

    Shapes:     any → the same.
    Parameters: dropout_ratio p; of other forks scale_train (false: nothing is scaled in TRAIN,
                and y = x · (1 − p) in TEST) and sample_weights_test (drop in TEST, too).
    Formula:    TRAIN: y = x · m / (1 − p), m = 1 with probability 1 − p, else 0; TEST: y = x.
    Gradient:   dx = dy · m / (1 − p); TEST: dx = dy.
    Source:     Srivastava et al. 2014; sampling in TEST: Kendall et al. 2015, Bayesian SegNet.
    """

    in_place = True

    def setup(self) -> None:
        settings = self.param.dropout_param
        self.ratio = float(settings.dropout_ratio)
        if not 0 <= self.ratio < 1:
            raise LayerError(
                f"dropout_ratio must be at least 0 and below 1, not {self.ratio:g}",
                field=("dropout_param", "dropout_ratio"),
            )
        self.draws = self.phase == TRAIN or settings.sample_weights_test
        scales_train = settings.scale_train or not settings.HasField("scale_train")
        if self.draws:
            self.scale = 1 / (1 - self.ratio) if scales_train else 1.0
        else:
            self.scale = 1.0 if scales_train else 1 - self.ratio

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        return [bottom[0]]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.mask = np.zeros(bottom[0].count if self.draws else 0, np.uint8)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, y, n = bottom[0].data, top[0].data, bottom[0].count
        if self.draws:
            kernels.dropout(
                x=x, y=y, mask=self.mask, state=self.counters, n=n,
                ratio=self.ratio, scale=self.scale,
            )  # fmt: skip
        else:
            self._scaled(x, y, n)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        dx, dy, n = bottom[0].diff, top[0].diff, bottom[0].count
        if not self.propagate_down[0]:
            return
        if self.draws:
            kernels.dropout_backward(dy=dy, mask=self.mask, dx=dx, n=n, scale=self.scale)
        else:
            self._scaled(dy, dx, n)

    def _scaled(self, x: np.ndarray, y: np.ndarray, n: int) -> None:
        if self.scale != 1:
            kernels.combine_sum(x=[x], coefficient=[self.scale], y=y, count=1, n=n)
        elif x is not y:
            kernels.copy(x=x, y=y, n=n)
