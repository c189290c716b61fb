"""Writing the parts of a Concat straight into the whole, and reading parts of it as they lie."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from protonet import kernels
from protonet.layers.base import Layer
from protonet.layers.joining import Concat, Slice

from .program import Operation, Program, Value

__all__ = ["PartCopy", "place_parts"]


class PartCopy(Operation):
    """Copies a value to its place in a Concat's whole."""

    def __init__(self, layer: Layer, value: Value, place: Value, rows: int) -> None:
        super().__init__(layer, [value], [place])
        self.rows = rows

    @property
    def in_place(self) -> bool:
        return False

    def for_one_image(self, of_one: Callable[[Value], Value]) -> Operation:
        return PartCopy(self.layer, of_one(self.inputs[0]), of_one(self.outputs[0]), 1)

    def strided(self, value: Value) -> bool:
        return value is self.outputs[0]

    def emit(self, memory: Callable[[Value], np.ndarray]) -> bool:
        value, place = self.inputs[0], self.outputs[0]
        columns = value.count // max(1, self.rows)
        kernels.call(
            "copy_rows", x=memory(value), y=memory(place), rows=self.rows, columns=columns,
            x_row=columns, y_row=place.apart or columns,
        )  # fmt: skip
        return True


def place_parts(program: Program) -> None:
    """What a Concat joins is made where it belongs, or copied there; a Slice's parts are read
    where they are."""
    placing = _Placing(program)
    for operation in list(program.operations):
        if operation.constant:
            continue
        if isinstance(operation.layer, Concat):
            placing.join(operation)
        elif isinstance(operation.layer, Slice):
            placing.cut(operation)


class _Placing:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.joined: set[Value] = set()  # wholes that their parts' makers write

    def join(self, operation: Operation) -> None:
        whole, axis = operation.outputs[0], _axis(operation)
        rows, across = math.prod(whole.shape[:axis]), math.prod(whole.shape[axis:])
        parts = operation.inputs
        roots = [part.root for part in parts]
        placed = [
            roots.count(root) == 1 and self._can_place(root, part, rows, axis, operation)
            for root, part in zip(roots, parts, strict=True)
        ]
        if not any(placed) or (rows > 1 and axis != 1):
            return
        copies: list[Operation] = []
        offset = 0
        for part, there in zip(parts, placed, strict=True):
            if there:
                place = part.root
            else:
                place = Value(f"{part.name} in {whole.name}", part.shape)
                copies.append(PartCopy(operation.layer, part, place, rows))
            place.base, place.offset = whole, offset
            place.image = across if rows > 1 else 0
            offset += math.prod(part.shape[axis:])
        self.joined.add(whole)
        index = self.program.operations.index(operation)
        self.program.operations[index : index + 1] = copies
        self.program.changed()

    def _can_place(self, root: Value, part: Value, rows: int, axis: int, concat: Operation) -> bool:
        program = self.program
        if part.start or part.count != root.count:
            return False
        maker = program.maker(root)
        if root not in self.joined and (maker is None or maker.constant):
            return False
        if rows <= 1:
            return True
        if part is not root or axis != 1 or self._has_views(root):
            return False
        if maker is not None and not maker.strided(root):
            return False
        if any(root is kept for kept in program.kept):
            return False
        return all(r is concat or r.strided(root) for r in program.readers(root))

    def _has_views(self, root: Value) -> bool:
        """Says whether a value is seen in another shape; its parts, images apart, are no views."""
        operations = self.program.operations
        seen = [value for operation in operations for value in operation.inputs]
        return any(
            inner is not root and not inner.image and root in inner.lies_in()
            for value in (*seen, *self.program.wanted.values())
            for inner in value.lies_in()
        )

    def cut(self, operation: Operation) -> None:
        whole, axis = operation.inputs[0], _axis(operation)
        rows, across = math.prod(whole.shape[:axis]), math.prod(whole.shape[axis:])
        parts, program = operation.outputs, self.program
        if rows > 1 and not (
            axis == 1
            and all(r.strided(part) for part in parts for r in program.readers(part))
            and not any(part is kept for part in parts for kept in program.kept)
        ):
            return
        offset = 0
        for part in parts:
            part.base, part.offset = whole, offset
            part.image = across if rows > 1 else 0
            offset += math.prod(part.shape[axis:])
        program.remove([operation])


def _axis(operation: Operation) -> int:
    """Returns the axis along which the layer joins or cuts."""
    layer, value = operation.layer, operation.inputs[0]
    settings = layer.param.concat_param if isinstance(layer, Concat) else layer.param.slice_param
    old = "concat_dim" if isinstance(layer, Concat) else "slice_dim"
    axis: int = getattr(settings, old if settings.HasField(old) else "axis")
    return axis % len(value.shape)
