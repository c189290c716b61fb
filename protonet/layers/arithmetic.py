"""Elementwise functions that are not activations: absolute value, exponential, logarithm, power."""

from __future__ import annotations

import math

import numpy as np

from protonet import kernels
from protonet.blob import Blob

from .activation import Activation
from .base import LayerError
from .registry import register


@register("AbsVal")
class AbsVal(Activation):
    """y = |x|.

    Shapes:   any → the same.
    Gradient: dx = dy · sign(x), 0 at 0.
    Rules:    not in place. (Caffe 1.0)
    Source:   Caffe 1.0.
    """

    in_place = False

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.absolute(x=bottom[0].data, y=top[0].data, n=bottom[0].count)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.absolute_backward(
                x=bottom[0].data, dy=top[0].diff, dx=bottom[0].diff, n=bottom[0].count
            )


def log_of_base(base: float, field: str) -> float:
    """Returns ln base, 1 for base −1, which stands for e; LayerError if it cannot be a base."""
    if base == -1:
        return 1.0
    if not 0 < base < math.inf:
        raise LayerError(f"base must be above 0, or −1 for e, not {base:g}", field=(field, "base"))
    return math.log(base)


@register("Exp")
class Exp(Activation):
    """y = base^(shift + scale · x).

    Shapes:     any → the same.
    Parameters: exp_param base (−1: e), scale (1), shift (0).
    Gradient:   dx = dy · y · scale · ln base.
    Source:     Caffe 1.0.
    """

    def setup(self) -> None:
        settings = self.param.exp_param
        log_base = log_of_base(settings.base, "exp_param")
        self.inner = log_base * settings.scale
        exponent = log_base * settings.shift
        if exponent > 709:  # e^709 is the largest that a double holds
            raise LayerError(
                f"base {settings.base:g} to the power of shift {settings.shift:g} is too large",
                field=("exp_param", "shift"),
            )
        self.factor = math.exp(exponent)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.exponential(
            x=bottom[0].data, y=top[0].data, n=bottom[0].count,
            factor=self.factor, inner=self.inner,
        )  # fmt: skip

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.exponential_backward(
                y=top[0].data, dy=top[0].diff, dx=bottom[0].diff,
                n=bottom[0].count, inner=self.inner,
            )  # fmt: skip


@register("Log")
class Log(Activation):
    """y = log of (shift + scale · x) to `base`.

    Shapes:     any → the same.
    Parameters: log_param base (−1: e), scale (1), shift (0).
    Gradient:   dx = dy · scale / ((shift + scale · x) · ln base).
    Source:     Caffe 1.0.
    """

    gradient_of_input = True

    def setup(self) -> None:
        settings = self.param.log_param
        log_base = log_of_base(settings.base, "log_param")
        if log_base == 0:
            raise LayerError("there is no logarithm to base 1", field=("log_param", "base"))
        self.settings = {
            "factor": 1 / log_base,
            "scale": float(settings.scale),
            "shift": float(settings.shift),
        }

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.keep_input(bottom)
        kernels.logarithm(x=bottom[0].data, y=top[0].data, n=bottom[0].count, **self.settings)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.logarithm_backward(
                x=self.input(bottom), dy=top[0].diff, dx=bottom[0].diff,
                n=bottom[0].count, **self.settings,
            )  # fmt: skip


@register("Power")
class Power(Activation):
    """y = (shift + scale · x)^power.

    Shapes:     any → the same.
    Parameters: power_param power (1), scale (1), shift (0).
    Gradient:   dx = dy · power · scale · (shift + scale · x)^(power − 1).
    Rules:      if power · scale is 0, y is shift^power everywhere (0^0 = 1) and dx is 0; a negative
                base with a broken power gives NaN. (Caffe 1.0)
    Source:     Caffe 1.0.
    """

    gradient_of_input = True

    def setup(self) -> None:
        settings = self.param.power_param
        self.settings = {
            "power": float(settings.power),
            "scale": float(settings.scale),
            "shift": float(settings.shift),
        }
        self.is_constant = settings.power * settings.scale == 0

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        if self.is_constant:
            with np.errstate(all="ignore"):  # inf and NaN are answers here, as in C
                value = float(np.power(self.settings["shift"], self.settings["power"]))
            kernels.fill(y=top[0].data, n=top[0].count, value=value)
            return
        self.keep_input(bottom)
        kernels.power(x=bottom[0].data, y=top[0].data, n=bottom[0].count, **self.settings)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if not self.propagate_down[0]:
            return
        if self.is_constant:
            kernels.fill(y=bottom[0].diff, n=bottom[0].count, value=0)
            return
        kernels.power_backward(
            x=self.input(bottom), dy=top[0].diff, dx=bottom[0].diff,
            n=bottom[0].count, **self.settings,
        )  # fmt: skip
