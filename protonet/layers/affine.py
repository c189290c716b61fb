"""Scale and Bias: a factor or a summand that is broadcast over a run of axes."""

from __future__ import annotations

import math

import numpy as np

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.protonet_pb2 import FillerParameter

from .base import Between, Layer, LayerError, Parameter, Shape, canonical_axis, shape_text
from .registry import register


class Broadcast(Layer):
    """What Scale and Bias share: where the second factor lies in the first."""

    bottoms = Between(1, 2)
    in_place = True
    sets_gradients = True
    field = ""

    def extent(self, bottom: list[Shape]) -> tuple[int, Shape]:
        """Returns the first axis and the shape of what is broadcast."""
        settings = getattr(self.param, self.field)
        shape = bottom[0]
        if len(bottom) == 2:
            other = bottom[1]
            axis = canonical_axis(settings.axis, len(shape), (self.field, "axis")) if other else 0
            if shape[axis : axis + len(other)] != other:
                raise LayerError(
                    f"{shape_text(other)} is not a run of axes of {shape_text(shape)} "
                    f"from axis {axis} on",
                    bottom=1,
                )
            return axis, other
        count = settings.num_axes
        axis = canonical_axis(settings.axis, len(shape), (self.field, "axis")) if count else 0
        if count < -1:
            raise LayerError("num_axes must be at least -1", field=(self.field, "num_axes"))
        if count >= 0 and axis + count > len(shape):
            raise LayerError(
                f"{count} axes from axis {axis} on are more than the bottom has",
                field=(self.field, "num_axes" if settings.HasField("num_axes") else "axis"),
                help=f"the bottom is {shape_text(shape)}",
            )
        return axis, shape[axis:] if count == -1 else shape[axis : axis + count]

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        self.extent(bottom)
        return [bottom[0]]

    def sizes(self, bottom: list[Blob]) -> dict[str, int]:
        """Returns outer, channels and inner of the kernels' view of the blob."""
        shape = bottom[0].shape
        axis, run = self.extent([blob.shape for blob in bottom])
        return {
            "outer": math.prod(shape[:axis]),
            "channels": math.prod(run),
            "inner": math.prod(shape[axis + len(run) :]),
        }


def _filler_or(filler: FillerParameter, given: bool, value: float) -> FillerParameter:
    return filler if given else FillerParameter(type="constant", value=value)


@register("Scale")
class Scale(Broadcast):
    """y = x · γ (+ β), with γ broadcast over the other axes.

    Shapes:     y as x. One bottom: γ (and β) are learned and have the shape of x's `num_axes`
                axes from `axis` on (−1: to the end, 0: scalar). Two: γ is the second bottom,
                of the shape of any run of x's axes that starts at `axis`.
    Parameters: axis, num_axes, filler (1), bias_term (false), bias_filler (0).
    Gradient:   dx = dy γ, dγ = Σ dy x, dβ = Σ dy.
    Source:     Caffe 1.0.
    """

    field = "scale_param"

    def parameters(self, bottom: list[Shape]) -> list[Parameter]:
        settings = self.param.scale_param
        _, run = self.extent(bottom)
        found = []
        if len(bottom) == 1:
            filler = _filler_or(settings.filler, settings.HasField("filler"), 1)
            found.append(Parameter(run, filler, (self.field, "filler")))
        if settings.bias_term:
            found.append(Parameter(run, settings.bias_filler, (self.field, "bias_filler")))
        return found

    def macs(self, bottom: list[Shape], top: list[Shape]) -> int:
        return math.prod(top[0])

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.size = self.sizes(bottom)
        self.has_bias = self.param.scale_param.bias_term
        self.kept: np.ndarray | None = None
        # Working in place overwrites the x that γ's gradient needs.
        if top[0] is bottom[0] and self._scale_wanted(bottom):
            self.kept = np.zeros_like(bottom[0].data)

    def _scale_wanted(self, bottom: list[Blob]) -> bool:
        return self.propagate_down[1] if len(bottom) == 2 else self.param_propagate_down[0]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        if self.kept is not None:
            kernels.copy(x=bottom[0].data, y=self.kept, n=bottom[0].count)
        factor = bottom[1] if len(bottom) == 2 else self.blobs[0]
        kernels.scale(
            x=bottom[0].data, scale=factor.data, y=top[0].data,
            bias=self.blobs[-1].data if self.has_bias else None, **self.size,
        )  # fmt: skip

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        factor = bottom[1] if len(bottom) == 2 else self.blobs[0]
        x = bottom[0].data if self.kept is None else self.kept
        dy = top[0].diff
        self.begin_gradients()
        if self._scale_wanted(bottom):
            kernels.scale_gradient(
                x=x, dy=dy, dscale=factor.diff, keep=0 if len(bottom) == 2 else 1, **self.size
            )
        if self.has_bias and self.param_propagate_down[-1]:
            kernels.scale_gradient(dy=dy, dbias=self.blobs[-1].diff, keep=1, **self.size)
        if self.propagate_down[0]:
            kernels.scale(x=dy, scale=factor.data, y=bottom[0].diff, **self.size)


@register("Bias")
class Bias(Broadcast):
    """y = x + β, with β broadcast over the other axes.

    Shapes:     as Scale: β is learned, or the second bottom.
    Parameters: axis, num_axes, filler (0).
    Gradient:   dx = dy, dβ = Σ dy.
    Source:     Caffe 1.0.
    """

    field = "bias_param"

    def parameters(self, bottom: list[Shape]) -> list[Parameter]:
        if len(bottom) == 2:
            return []
        _, run = self.extent(bottom)
        return [Parameter(run, self.param.bias_param.filler, (self.field, "filler"))]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.size = self.sizes(bottom)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        summand = bottom[1] if len(bottom) == 2 else self.blobs[0]
        kernels.scale(x=bottom[0].data, bias=summand.data, y=top[0].data, **self.size)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        dy = top[0].diff
        self.begin_gradients()
        if len(bottom) == 2 and self.propagate_down[1]:
            kernels.scale_gradient(dy=dy, dbias=bottom[1].diff, keep=0, **self.size)
        elif len(bottom) == 1 and self.param_propagate_down[0]:
            kernels.scale_gradient(dy=dy, dbias=self.blobs[0].diff, keep=1, **self.size)
        if self.propagate_down[0] and top[0] is not bottom[0]:
            kernels.copy(x=dy, y=bottom[0].diff, n=top[0].count)
