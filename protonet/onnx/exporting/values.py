"""Values of an ONNX graph in the making: a layer's function computes with them as with numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias, Union

import numpy as np

if TYPE_CHECKING:
    from .writer import Writer

__all__ = ["Dims", "Free", "Operand", "Value", "count", "is_free"]


class Free(int):
    """The length of an axis that is known only when the model runs; as a number, an example."""


Dims: TypeAlias = tuple[int, ...]  # some of them Free


def is_free(*sizes: int) -> bool:
    """Says whether one of the sizes is known only when the model runs."""
    return any(isinstance(size, Free) for size in sizes)


def count(dims: Sequence[int]) -> int:
    """Returns the product, Free if a factor is."""
    product = math.prod(int(size) for size in dims)
    return Free(product) if is_free(*dims) else product


class Value:
    """The result of an ONNX operator, or an input; arithmetic adds operators to the graph."""

    def __init__(self, writer: Writer, name: str, dims: Dims = ()) -> None:
        self.writer, self.name, self.dims = writer, name, dims

    def op(self, kind: str, *others: Operand, **attributes: object) -> Value:
        """Applies an operator with this value as its first input."""
        return self.writer.op(kind, self, *others, **attributes)

    def __add__(self, other: Operand) -> Value:
        return self.writer.op("Add", self, other)

    def __radd__(self, other: Operand) -> Value:
        return self.writer.op("Add", other, self)

    def __sub__(self, other: Operand) -> Value:
        return self.writer.op("Sub", self, other)

    def __rsub__(self, other: Operand) -> Value:
        return self.writer.op("Sub", other, self)

    def __mul__(self, other: Operand) -> Value:
        return self.writer.op("Mul", self, other)

    def __rmul__(self, other: Operand) -> Value:
        return self.writer.op("Mul", other, self)

    def __truediv__(self, other: Operand) -> Value:
        return self.writer.op("Div", self, other)

    def __rtruediv__(self, other: Operand) -> Value:
        return self.writer.op("Div", other, self)

    def __pow__(self, other: Operand) -> Value:
        return self.writer.op("Pow", self, other)

    def above(self, other: Operand) -> Value:
        return self.writer.op("Greater", self, other)


Operand: TypeAlias = Union[Value, float, np.ndarray]  # noqa: UP007 (Value is defined here)
