"""Elementwise activations: ReLU and its family."""

from __future__ import annotations

from protonet import kernels
from protonet.blob import Blob

from .base import Layer, Shape
from .registry import register


class Activation(Layer):
    """A map of each element by itself, in place if the net says so. Shapes: any → the same."""

    in_place = True

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        return [bottom[0]]


@register("ReLU")
class ReLU(Activation):
    """y = max(x, 0) + negative_slope · min(x, 0).

    Gradient: dx = dy where x > 0, else negative_slope · dy; at x = 0 the slope's side (Caffe).
    """

    @property
    def slope(self) -> float:
        return float(self.param.relu_param.negative_slope)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.relu(x=bottom[0].data, y=top[0].data, n=bottom[0].count, slope=self.slope)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.relu_backward(
                x=bottom[0].data, dy=top[0].diff, dx=bottom[0].diff,
                n=bottom[0].count, slope=self.slope,
            )  # fmt: skip
