"""SmoothL1Loss: quadratic near 0, linear beyond."""

from __future__ import annotations

from typing import Any

from protonet import kernels
from protonet.blob import Blob

from .base import Between, Layer, LayerError, Shape, shape_text
from .registry import register


@register("SmoothL1Loss")
class SmoothL1Loss(Layer):
    """loss = Σ o·f(i·(x − t)) / N, f(d) = ½(σd)² for |d| < 1/σ², else |d| − ½/σ².

    Shapes:     x, t, inside weights i, outside weights o, all N×… alike → scalar. i and o may be
                left out, or o alone, and count as 1.
    Parameters: sigma (1).
    Gradient:   dx = i·o·f′(i·(x − t)) / N, f′(d) = σ²d limited to −1 … 1; dt = −dx; the weights
                have none.
    Source:     Girshick 2015 (Fast R-CNN); σ and weights: Ren et al. 2015 (Faster R-CNN).
    """

    bottoms = Between(2, 4)
    labels = (2, 3)
    is_loss = True
    automatic_tops = 1

    def setup(self) -> None:
        self.sigma = self.param.smooth_l1_loss_param.sigma
        if not self.sigma > 0:
            raise LayerError("sigma must be positive", field=("smooth_l1_loss_param", "sigma"))

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        for number, shape in enumerate(bottom[1:], 1):
            if shape != bottom[0]:
                raise LayerError(
                    f"{shape_text(shape)} is not the shape of the first bottom, "
                    f"{shape_text(bottom[0])}",
                    bottom=number,
                )
        if not bottom[0]:
            raise LayerError("a scalar has no batch to average over", bottom=0)
        return [()]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        names = ("x", "target", "inside", "outside")
        self.arguments: dict[str, Any] = {
            **{name: blob.data for name, blob in zip(names, bottom, strict=False)},
            "loss": top[0].data, "n": bottom[0].count,
            "sigma2": self.sigma**2, "scale": 1 / max(1, bottom[0].shape[0]),
        }  # fmt: skip

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.smooth_l1_loss(**self.arguments)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        for number, sign in ((0, 1), (1, -1)):
            if self.propagate_down[number]:
                kernels.smooth_l1_loss_backward(
                    shape=self.arguments, dy=top[0].diff, dx=bottom[number].diff, sign=sign
                )
