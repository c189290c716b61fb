"""Elementwise activations: ReLU and its family."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.protonet_pb2 import FillerParameter

from .base import Layer, LayerError, Parameter, Shape
from .registry import register


class Activation(Layer):
    """A map of each element by itself, in place if the net says so. Shapes: any → the same.

    A gradient that needs x when y has taken its place is given a copy (`input`).
    """

    in_place = True
    gradient_of_input: ClassVar[bool] = False  # backward needs x, and not y alone

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        return [bottom[0]]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        learns = self.propagate_down[0] or any(self.param_propagate_down)
        self._copy: np.ndarray | None = None
        if self.gradient_of_input and top[0] is bottom[0] and learns:
            self._copy = np.empty(bottom[0].shape, bottom[0].dtype)

    def keep_input(self, bottom: list[Blob]) -> None:
        """Copies x where y is about to overwrite it."""
        if self._copy is not None:
            kernels.copy(x=bottom[0].data, y=self._copy, n=bottom[0].count)

    def input(self, bottom: list[Blob]) -> np.ndarray:
        """Returns x as it was before the forward pass."""
        return bottom[0].data if self._copy is None else self._copy


@register("ReLU")
class ReLU(Activation):
    """y = max(x, 0) + negative_slope · min(x, 0).

    Shapes:     any → the same.
    Parameters: relu_param negative_slope (0).
    Gradient:   dx = dy where x > 0, else negative_slope · dy; at x = 0 the slope's side (Caffe).
    Source:     Nair and Hinton 2010; Caffe 1.0.
    """

    @property
    def slope(self) -> float:
        return float(self.param.relu_param.negative_slope)

    @property
    def gradient_of_input(self) -> bool:  # type: ignore[override]
        return self.slope < 0  # else y has the sign of x

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.keep_input(bottom)
        kernels.relu(x=bottom[0].data, y=top[0].data, n=bottom[0].count, slope=self.slope)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.relu_backward(
                x=self.input(bottom), dy=top[0].diff, dx=bottom[0].diff,
                n=bottom[0].count, slope=self.slope,
            )  # fmt: skip


@register("PReLU")
class PReLU(Activation):
    """y = max(x, 0) + a · min(x, 0) with a learned slope a for each channel.

    Shapes:     N×C×… → the same; a is C, or one number if channel_shared.
    Parameters: filler (0.25 if it is not given), channel_shared.
    Gradient:   dx = dy where x > 0, else a · dy; da = Σ dy · x where x ≤ 0.
    Source:     He, Zhang, Ren, Sun 2015.
    """

    gradient_of_input = True

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if len(bottom[0]) < 2:
            raise LayerError("PReLU needs a channel axis: at least 2 axes", bottom=0)
        return [bottom[0]]

    def parameters(self, bottom: list[Shape]) -> list[Parameter]:
        settings = self.param.prelu_param
        shape = () if settings.channel_shared else (bottom[0][1],)
        given = settings.HasField("filler")
        filler = settings.filler if given else FillerParameter(type="constant", value=0.25)
        return [Parameter(shape, filler, ("prelu_param", "filler"))]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        super().reshape(bottom, top)
        shape = bottom[0].shape
        if self.param.prelu_param.channel_shared:
            self.size = {"outer": 1, "channels": 1, "inner": bottom[0].count}
        else:
            inner = math.prod(shape[2:])
            self.size = {"outer": shape[0], "channels": shape[1], "inner": inner}

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.keep_input(bottom)
        kernels.prelu(x=bottom[0].data, slope=self.blobs[0].data, y=top[0].data, **self.size)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        x, dy = self.input(bottom), top[0].diff
        if self.param_propagate_down[0]:
            kernels.prelu_gradient(x=x, dy=dy, dslope=self.blobs[0].diff, **self.size)
        if self.propagate_down[0]:
            kernels.prelu_backward(
                x=x, slope=self.blobs[0].data, dy=dy, dx=bottom[0].diff, **self.size
            )


@register("ELU")
class ELU(Activation):
    """y = x where x > 0, else alpha · (eˣ − 1).

    Shapes:     any → the same.
    Parameters: elu_param alpha (1).
    Gradient:   dx = dy where x > 0, else dy · (alpha + y).
    Source:     Clevert, Unterthiner, Hochreiter 2016.
    """

    gradient_of_input = True

    @property
    def alpha(self) -> float:
        return float(self.param.elu_param.alpha)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.keep_input(bottom)
        kernels.elu(x=bottom[0].data, y=top[0].data, n=bottom[0].count, alpha=self.alpha)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.elu_backward(
                x=self.input(bottom), y=top[0].data, dy=top[0].diff, dx=bottom[0].diff,
                n=bottom[0].count, alpha=self.alpha,
            )  # fmt: skip


@register("Sigmoid")
class Sigmoid(Activation):
    """y = 1 / (1 + e⁻ˣ).

    Shapes:     any → the same.
    Parameters: none but engine, which has no effect.
    Gradient:   dx = dy · y · (1 − y).
    Source:     Caffe 1.0.
    """

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.sigmoid(x=bottom[0].data, y=top[0].data, n=bottom[0].count)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.sigmoid_backward(
                y=top[0].data, dy=top[0].diff, dx=bottom[0].diff, n=bottom[0].count
            )


@register("TanH")
class TanH(Activation):
    """y = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ).

    Shapes:     any → the same.
    Parameters: none but engine, which has no effect.
    Gradient:   dx = dy · (1 − y²).
    Source:     Caffe 1.0.
    """

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.tanh(x=bottom[0].data, y=top[0].data, n=bottom[0].count)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.tanh_backward(
                y=top[0].data, dy=top[0].diff, dx=bottom[0].diff, n=bottom[0].count
            )


@register("Swish")
class Swish(Activation):
    """y = x · σ(beta · x), σ the sigmoid.

    Shapes:     any → the same.
    Parameters: swish_param beta (1).
    Gradient:   dx = dy · s · (1 + beta · x · (1 − s)), s = σ(beta · x).
    Source:     Ramachandran, Zoph, Le 2017.
    """

    gradient_of_input = True

    @property
    def beta(self) -> float:
        return float(self.param.swish_param.beta)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.keep_input(bottom)
        kernels.swish(x=bottom[0].data, y=top[0].data, n=bottom[0].count, beta=self.beta)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.swish_backward(
                x=self.input(bottom), dy=top[0].diff, dx=bottom[0].diff,
                n=bottom[0].count, beta=self.beta,
            )  # fmt: skip


@register("BNLL")
class BNLL(Activation):
    """y = log(1 + eˣ), the binomial normal log likelihood (softplus).

    Shapes:   any → the same.
    Gradient: dx = dy · σ(x), σ the sigmoid.
    Source:   Caffe 1.0.
    """

    gradient_of_input = True

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.keep_input(bottom)
        kernels.bnll(x=bottom[0].data, y=top[0].data, n=bottom[0].count)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.bnll_backward(
                x=self.input(bottom), dy=top[0].diff, dx=bottom[0].diff, n=bottom[0].count
            )


@register("Clip")
class Clip(Activation):
    """y = min(max(x, min), max).

    Shapes:     any → the same.
    Parameters: clip_param min and max, both needed.
    Gradient:   dx = dy where min ≤ x ≤ max, else 0.
    Source:     Caffe 1.0.
    """

    gradient_of_input = True

    def setup(self) -> None:
        settings = self.param.clip_param
        self.limits = {"low": float(settings.min), "high": float(settings.max)}
        if not settings.min <= settings.max:
            raise LayerError(
                f"min {settings.min:g} must not be above max {settings.max:g}",
                field=("clip_param", "min"),
            )

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.keep_input(bottom)
        kernels.clip(x=bottom[0].data, y=top[0].data, n=bottom[0].count, **self.limits)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.clip_backward(
                x=self.input(bottom), dy=top[0].diff, dx=bottom[0].diff,
                n=bottom[0].count, **self.limits,
            )  # fmt: skip


@register("Threshold")
class Threshold(Activation):
    """y = 1 where x > threshold, else 0.

    Shapes:     any → the same.
    Parameters: threshold_param threshold (0).
    Gradient:   none.
    Source:     Caffe 1.0.
    """

    labels = (0,)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.threshold(
            x=bottom[0].data, y=top[0].data, n=bottom[0].count,
            limit=self.param.threshold_param.threshold,
        )  # fmt: skip

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        """Nothing is propagated."""
