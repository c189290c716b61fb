"""Activations made of straight pieces, cheap on small machines: ReLU6, HardSigmoid, HardSwish."""

from __future__ import annotations

from protonet import kernels
from protonet.blob import Blob

from .activation import Activation
from .base import LayerError
from .registry import register


@register("ReLU6")
class ReLU6(Activation):
    """y = min(max(x, 0) + negative_slope · min(x, 0), threshold).

    Shapes:     any → the same.
    Parameters: relu6_param threshold (6), negative_slope (0).
    Gradient:   dx = dy where 0 < x < threshold, negative_slope · dy where x ≤ 0, else 0.
    Source:     MobileNet (Howard et al. 2017).
    """

    def setup(self) -> None:
        settings = self.param.relu6_param
        if settings.threshold <= 0:
            raise LayerError("threshold must be above 0", field=("relu6_param", "threshold"))
        self.settings = {"slope": settings.negative_slope, "limit": settings.threshold}

    @property
    def gradient_of_input(self) -> bool:  # type: ignore[override]
        return self.settings["slope"] < 0  # else y has the sign of x

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.keep_input(bottom)
        kernels.relu6(x=bottom[0].data, y=top[0].data, n=bottom[0].count, **self.settings)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.relu6_backward(
                x=self.input(bottom), dy=top[0].diff, dx=bottom[0].diff,
                n=bottom[0].count, **self.settings,
            )  # fmt: skip


@register("HardSigmoid")
class HardSigmoid(Activation):
    """y = alpha · x + beta, within 0 … 1.

    Shapes:     any → the same.
    Parameters: hardsigmoid_param alpha (0.2), beta (0.5).
    Gradient:   dx = alpha · dy where 0 < y < 1, else 0.
    Source:     MobileNetV3 (Howard et al. 2019).
    """

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        settings = self.param.hardsigmoid_param
        kernels.hard_sigmoid(
            x=bottom[0].data, y=top[0].data, n=bottom[0].count,
            alpha=settings.alpha, beta=settings.beta,
        )  # fmt: skip

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.hard_sigmoid_backward(
                y=top[0].data, dy=top[0].diff, dx=bottom[0].diff, n=bottom[0].count,
                alpha=self.param.hardsigmoid_param.alpha,
            )  # fmt: skip


@register("HardSwish")
class HardSwish(Activation):
    """y = x · (x/6 + ½, within 0 … 1).

    Shapes:   any → the same.
    Gradient: dx = 0 where x ≤ −3, dy where x ≥ 3, else (x/3 + ½) · dy.
    Source:   MobileNetV3 (Howard et al. 2019).
    """

    gradient_of_input = True

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.keep_input(bottom)
        kernels.hard_swish(x=bottom[0].data, y=top[0].data, n=bottom[0].count)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.hard_swish_backward(
                x=self.input(bottom), dy=top[0].diff, dx=bottom[0].diff, n=bottom[0].count
            )
