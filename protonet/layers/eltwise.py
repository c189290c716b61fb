"""Eltwise: several blobs of one shape made one, element by element."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.protonet_pb2 import EltwiseParameter

from .base import AtLeast, Layer, LayerError, Shape, shape_text
from .registry import register

__all__ = ["Eltwise", "add_up"]

MOST = 8  # inputs that a kernel takes at once
MOST_TO_CHOOSE_FROM = 256  # the number of the greatest is kept in a byte


def add_up(
    inputs: Sequence[np.ndarray], y: np.ndarray, coefficients: Sequence[float] | None = None
) -> None:
    """y = Σ coefficient · input, each coefficient 1 if they are not given."""
    factors = list(coefficients) if coefficients else [1.0] * len(inputs)
    terms, first = list(inputs[:MOST]), MOST
    weights = factors[:MOST]
    while True:
        kernels.combine_sum(x=terms, coefficient=weights, y=y, count=len(terms), n=y.size)
        if first >= len(inputs):
            return
        terms, weights = [y, *inputs[first : first + MOST - 1]], [1.0, *factors[first:][: MOST - 1]]
        first += MOST - 1


def multiply(inputs: Sequence[np.ndarray], y: np.ndarray) -> None:
    """y = Π inputs."""
    factors, first = list(inputs[:MOST]), MOST
    while True:
        kernels.combine_product(x=factors, y=y, count=len(factors), n=y.size)
        if first >= len(inputs):
            return
        factors = [y, *inputs[first : first + MOST - 1]]
        first += MOST - 1


def _without_ones_at_the_end(shape: Shape) -> Shape:
    rank = len(shape)
    while rank and shape[rank - 1] == 1:
        rank -= 1
    return shape[:rank]


@register("Eltwise")
class Eltwise(Layer):
    """Sum, product or maximum of several blobs, element by element.

    Shapes:     all bottoms of one shape → that shape; 1s at the end make no difference.
    Parameters: operation (SUM, PROD, MAX), coeff c (SUM: one for each bottom, else all 1),
                stable_prod_grad.
    Formula:    SUM y = Σ cᵢ xᵢ; PROD y = Π xᵢ; MAX y = max xᵢ.
    Gradient:   SUM dxᵢ = cᵢ dy; PROD dxᵢ = dy · Π of the others (y / xᵢ if stable_prod_grad is
                false); MAX dy where xᵢ is the maximum: of the first two the second wins a tie,
                a later one must be greater. (Caffe 1.0)
    Source:     Caffe 1.0.
    """

    bottoms = AtLeast(1)

    def setup(self) -> None:
        self.settings = self.param.eltwise_param
        self.operation = self.settings.operation
        self.coefficients = list(self.settings.coeff)
        if self.coefficients and self.operation != EltwiseParameter.SUM:
            raise LayerError("coeff is for SUM", field=("eltwise_param", "coeff", 0))
        if self.coefficients and len(self.coefficients) != self.bottom_count:
            raise LayerError(
                f"{len(self.coefficients)} coeff for {self.bottom_count} bottoms",
                field=("eltwise_param", "coeff", 0),
                help="write it once for each bottom, or not at all",
            )
        self.coefficients = self.coefficients or [1.0] * self.bottom_count

    @property
    def adds_two(self) -> bool:
        """Says whether y is a sum of two blobs as they are."""
        return self.operation == EltwiseParameter.SUM and self.coefficients == [1.0, 1.0]

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        for number, shape in enumerate(bottom):
            if _without_ones_at_the_end(shape) != _without_ones_at_the_end(bottom[0]):
                raise LayerError(
                    f"all bottoms must have one shape, but bottom {number} is "
                    f"{shape_text(shape)} and bottom 0 is {shape_text(bottom[0])}",
                    bottom=number,
                    code="E203",
                )
        return [bottom[0]]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        keeps = self.operation == EltwiseParameter.MAX and any(self.propagate_down)
        if keeps and len(bottom) > MOST_TO_CHOOSE_FROM:
            raise LayerError(
                f"the greatest of {len(bottom)} bottoms has no gradient here: "
                f"at most {MOST_TO_CHOOSE_FROM}",
                help="take the maximum in two steps",
            )
        self.mask = np.zeros(top[0].count, np.uint8) if keeps else None

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        inputs, y = [blob.data for blob in bottom], top[0].data
        if self.operation == EltwiseParameter.SUM:
            add_up(inputs, y, self.coefficients)
        elif self.operation == EltwiseParameter.PROD:
            multiply(inputs, y)
        else:
            for first in range(0, len(inputs), MOST):
                some = inputs[first : first + MOST]
                kernels.combine_max(
                    x=some, y=y, mask=self.mask, count=len(some), first=first, n=y.size
                )

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        dy = top[0].diff
        for index, blob in enumerate(bottom):
            if not self.propagate_down[index]:
                continue
            if self.operation == EltwiseParameter.SUM:
                add_up([dy], blob.diff, [self.coefficients[index]])
            elif self.operation == EltwiseParameter.MAX:
                kernels.combine_max_backward(
                    dy=dy, mask=self.mask, dx=blob.diff, index=index, n=blob.count
                )
            elif self.settings.stable_prod_grad:
                others = [other.data for i, other in enumerate(bottom) if i != index]
                multiply([dy, *others], blob.diff)
            else:
                kernels.divide_product(
                    x=blob.data, y=top[0].data, dy=dy, dx=blob.diff, n=blob.count
                )
