"""Parameter: a learnable blob that is nobody's weight."""

from __future__ import annotations

from protonet.blob import Blob

from .base import Exactly, Layer, Parameter, Shape
from .registry import register


@register("Parameter")
class FreeParameter(Layer):
    """A top that is itself learned; it starts at 0.

    Shapes:     `shape`.
    Parameters: parameter_param shape.
    Formula:    y = the parameter.
    Gradient:   dy is the parameter's gradient, in the same memory, so that passes do not add up.
                (Caffe 1.0)
    Source:     Caffe 1.0.
    """

    bottoms = Exactly(0)
    constant = True

    def _shape(self) -> Shape:
        return tuple(self.param.parameter_param.shape.dim)

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        return [self._shape()]

    def parameters(self, bottom: list[Shape]) -> list[Parameter]:
        return [Parameter(self._shape())]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].share_data(self.blobs[0])
        top[0].share_diff(self.blobs[0])

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        """The top is the parameter's memory."""

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        """The top's gradient is the parameter's memory."""
