"""Reduction and ArgMax: many elements made few."""

from __future__ import annotations

import math

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.protonet_pb2 import ReductionParameter

from .base import Layer, LayerError, Shape, canonical_axis
from .registry import register


@register("Reduction")
class Reduction(Layer):
    """All axes from `axis` on made one number.

    Shapes:     the axes before `axis`; a scalar with the default axis 0.
    Parameters: operation (SUM, ASUM, SUMSQ, MEAN), axis (0), coeff c (1).
    Formula:    SUM c·Σ x; ASUM c·Σ |x|; SUMSQ c·Σ x²; MEAN c·Σ x / count.
    Gradient:   dx = c·dy times 1, sign(x), 2x, 1 / count.
    Source:     Caffe 1.0.
    """

    def setup(self) -> None:
        self.settings = self.param.reduction_param
        self.operation = self.settings.operation
        if self.operation == ReductionParameter.MEAN:
            self.operation = ReductionParameter.SUM  # with another factor

    def _axis(self, shape: Shape) -> int:
        return canonical_axis(self.settings.axis, len(shape), ("reduction_param", "axis"))

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        return [bottom[0][: self._axis(bottom[0])]]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape, axis = bottom[0].shape, self._axis(bottom[0].shape)
        columns = math.prod(shape[axis:])
        means = self.settings.operation == ReductionParameter.MEAN
        self.shape = {
            "rows": math.prod(shape[:axis]),
            "columns": columns,
            "operation": self.operation,
            "factor": self.settings.coeff / (max(1, columns) if means else 1),
        }

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.reduce(x=bottom[0].data, y=top[0].data, **self.shape)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.reduce_backward(
                shape={"x": bottom[0].data, **self.shape}, dy=top[0].diff, dx=bottom[0].diff
            )


@register("ArgMax")
class ArgMax(Layer):
    """The indices of the top_k greatest elements, or their values.

    Shapes:     without an axis each item is flattened: N×1×k, N×2×k with out_max_val (indices,
                then values), with a 1 for each axis of the bottom beyond the third; with an axis
                its size becomes k, and out_max_val gives the values alone.
    Parameters: top_k (1), axis, out_max_val.
    Rules:      the greatest first; of equal ones the larger index first. (Caffe 1.0)
    Gradient:   none.
    Source:     Caffe 1.0.
    """

    labels = (0,)

    def setup(self) -> None:
        self.settings = self.param.argmax_param
        self.has_axis = self.settings.HasField("axis")
        if self.settings.top_k < 1:
            raise LayerError("top_k must be at least 1", field=("argmax_param", "top_k"))

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        shape, top_k = bottom[0], self.settings.top_k
        if not shape:
            raise LayerError("a scalar has no greatest element", bottom=0)
        axis = canonical_axis(self.settings.axis, len(shape), ("argmax_param", "axis"))
        count = shape[axis] if self.has_axis else math.prod(shape[1:])
        if top_k > count:
            raise LayerError(
                f"top_k {top_k} of {count} elements",
                field=("argmax_param", "top_k"),
                help=f"top_k must be at most {count}",
            )
        if self.has_axis:
            return [(*shape[:axis], top_k, *shape[axis + 1 :])]
        kinds = 2 if self.settings.out_max_val else 1
        return [(shape[0], kinds, top_k, *(1,) * (len(shape) - 3))]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape, top_k, y = bottom[0].shape, self.settings.top_k, top[0].data.reshape(-1)
        axis = self.settings.axis % len(shape) if self.has_axis else 1
        end = axis + 1 if self.has_axis else len(shape)
        outer, inner = math.prod(shape[:axis]), math.prod(shape[end:])
        values = self.settings.out_max_val
        both = values and not self.has_axis
        kernels.arg_max(
            x=bottom[0].data,
            indices=y if both or not values else None,
            values=y[top_k:] if both else y if values else None,
            outer=outer, classes=math.prod(shape[axis:end]), inner=inner, top_k=top_k,
            image_step=top_k * inner * (2 if both else 1),
        )  # fmt: skip

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        """Nothing is propagated."""
