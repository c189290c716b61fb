"""What a layer's export function sees: the layer, its blobs' shapes, its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from protonet.layers.base import Layer

from .values import Dims, Free, Operand, Value, count, is_free
from .writer import Writer

__all__ = ["Inexpressible", "Place"]


class Inexpressible(Exception):
    """A layer that ONNX has no words for; `field` is the path of the reason in LayerParameter."""

    def __init__(self, reason: str, field: tuple[str | int, ...] = ("type",)) -> None:
        super().__init__(reason)
        self.reason, self.field = reason, field


class Place:
    """One layer of the net on its way to ONNX."""

    def __init__(
        self, writer: Writer, layer: Layer, bottoms: list[Value], tops: list[Dims]
    ) -> None:
        self.writer, self.layer, self.bottoms, self.tops = writer, layer, bottoms, tops

    @property
    def param(self) -> Any:
        return self.layer.param

    @property
    def opset(self) -> int:
        return self.writer.opset

    @property
    def x(self) -> Value:
        """The first bottom."""
        return self.bottoms[0]

    @property
    def rank(self) -> int:
        return len(self.x.dims)

    @property
    def blobs(self) -> list[np.ndarray]:
        """The layer's parameters."""
        return [blob.data for blob in self.layer.blobs]

    def weight(self, number: int, shape: Sequence[int] | None = None) -> Value:
        """Returns a parameter as a constant, seen in another shape if it is given."""
        array = self.blobs[number]
        return self.writer.constant(array if shape is None else array.reshape(shape), str(number))

    def op(self, kind: str, *operands: Operand | None, **attributes: Any) -> Value:
        return self.writer.op(kind, *operands, **attributes)

    def ops(
        self, kind: str, results: int, *operands: Operand | None, **attributes: Any
    ) -> list[Value]:
        return self.writer.ops(kind, results, *operands, **attributes)

    def whole_numbers(self, numbers: Sequence[int]) -> Value:
        return self.writer.constant(np.array(numbers, np.int64))

    def fixed(self, size: int, axis: str) -> int:
        """Returns a size that the ONNX graph depends on; Inexpressible if it is Free."""
        if is_free(size):
            raise Inexpressible(f"{axis} must be known beforehand: give --batch N")
        return size

    def reshape(self, x: Value, dims: Dims) -> Value:
        """Returns x in another shape."""
        if x.dims and tuple(x.dims) == tuple(dims) and len(x.dims) == len(dims):
            return x
        sizes = [-1 if isinstance(size, Free) else int(size) for size in dims]
        for axis, size in enumerate(dims):
            same = axis < len(x.dims) and is_free(x.dims[axis]) and int(x.dims[axis]) == int(size)
            if isinstance(size, Free) and same and sizes.count(-1) > 1:
                sizes[axis] = 0  # as it is in x
        if sizes.count(-1) > 1:
            raise Inexpressible("two sizes of its top are known only when the model runs")
        made = self.op("Reshape", x, self.whole_numbers(sizes))
        made.dims = tuple(dims)
        return made

    def as_planes(self, x: Value, axis: int) -> Value:
        """Returns x with the axes before `axis` made one."""
        return self.reshape(x, (count(x.dims[:axis]), *x.dims[axis:]))

    def reduce(self, kind: str, x: Value, axes: Sequence[int], keepdims: bool = True) -> Value:
        """Applies ReduceSum, ReduceMean … over these axes."""
        if kind == "ReduceSum" or self.opset >= 18:
            return self.op(kind, x, self.whole_numbers(axes), keepdims=int(keepdims))
        return self.op(kind, x, axes=list(axes), keepdims=int(keepdims))

    def slice(
        self, x: Value, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int],
        steps: Sequence[int] | None = None,
    ) -> Value:  # fmt: skip
        """Returns a part of x along these axes."""
        given = [self.whole_numbers(numbers) for numbers in (starts, ends, axes)]
        if steps is not None:
            given.append(self.whole_numbers(steps))
        return self.op("Slice", x, *given)

    def split(self, x: Value, sizes: Sequence[int], axis: int) -> list[Value]:
        """Cuts x into parts of these sizes."""
        if len(sizes) == 1:
            return [x]
        return self.ops("Split", len(sizes), x, self.whole_numbers(sizes), axis=axis)

    def flip(self, x: Value, axis: int) -> Value:
        """Returns x from its end to its start."""
        lowest = np.iinfo(np.int64).min
        return self.slice(x, [-1], [lowest], [axis], [-1])

    def cast(self, x: Value, kind: str) -> Value:
        """Returns x as float, int64, bool or double."""
        return self.op("Cast", x, to={"float": 1, "int64": 7, "bool": 9, "double": 11}[kind])

    def sizes(self, dims: Dims, like: Value) -> Value:
        """Returns a shape as a tensor; what is Free is taken from the same axis of `like`."""
        if not is_free(*dims):
            return self.whole_numbers([int(size) for size in dims])
        shape = self.op("Shape", like)
        parts: list[Value] = []
        for axis, size in enumerate(dims):
            known = not isinstance(size, Free)
            if not known and (axis >= len(like.dims) or int(like.dims[axis]) != int(size)):
                raise Inexpressible("a size of its top is known only when the model runs")
            parts.append(
                self.whole_numbers([int(size)])
                if known
                else self.slice(shape, [axis], [axis + 1], [0])
            )
        return self.op("Concat", *parts, axis=0)

    def zeros(self, dims: Dims, like: Value) -> Value:
        """Returns a tensor of zeros; what is Free is as long as the same axis of `like`."""
        return self.op("ConstantOfShape", self.sizes(dims, like))
