"""EuclideanLoss: half the mean squared distance."""

from __future__ import annotations

import math

from protonet import kernels
from protonet.blob import Blob

from .base import Exactly, Layer, LayerError, Shape, shape_text
from .loss_normalization import judge_same_batch
from .registry import register


@register("EuclideanLoss")
class EuclideanLoss(Layer):
    """loss = Σ (a − b)² / 2N.

    Shapes:   two blobs N×… with as many elements an item → a scalar.
    Gradient: da = (a − b) · dy / N, db = −da.
    Source:   Caffe 1.0.
    """

    bottoms = Exactly(2)
    is_loss = True
    automatic_tops = 1

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        judge_same_batch(bottom[0], bottom[1])
        if math.prod(bottom[0][1:]) != math.prod(bottom[1][1:]):
            raise LayerError(
                f"{shape_text(bottom[1])} cannot be compared with {shape_text(bottom[0])}: "
                "each item must have as many elements",
                bottom=1,
                code="E203",
            )
        return [()]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.n, self.batch = bottom[0].count, max(1, bottom[0].shape[0])

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.euclidean_loss(
            a=bottom[0].data, b=bottom[1].data, y=top[0].data, n=self.n, scale=0.5 / self.batch
        )

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        for index, sign in ((0, 1), (1, -1)):
            if self.propagate_down[index]:
                kernels.euclidean_loss_backward(
                    a=bottom[0].data, b=bottom[1].data, dy=top[0].diff, dx=bottom[index].diff,
                    n=self.n, scale=sign / self.batch,
                )  # fmt: skip
