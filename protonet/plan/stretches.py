"""Running a batch image by image: what one image needs in between stays in cache.

A stretch of operations whose values for all images together are larger than caches is run for one
image after another, each by one thread in memory of its own. Operations whose weights outweigh
an image's values stay out, as they would be read again for each image, and those whose values no
cache holds for even one image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from protonet.kernels.images import Place, run_by_image
from protonet.layers.activation import Activation
from protonet.layers.eltwise import Eltwise
from protonet.layers.lrn import LRN
from protonet.layers.pooling import Pooling

from .arena import Arena
from .folding import ChannelAffine
from .joining import PartCopy
from .placement import place_values
from .product import Product
from .program import Operation, Program, Value

__all__ = ["Stretch", "run_image_by_image"]

CACHED_BYTES = 1 << 20  # values of a batch that are as well left where they are
IMAGE_BYTES = 6 << 20  # of one image's values that are out of reach for caches
WEIGHT_SHARE = 2  # how many times as many bytes weights may be as an image's values


class Stretch(Operation):
    """Operations run one after another for each image by itself."""

    def __init__(self, operations: list[Operation], program: Program) -> None:
        self.operations, self.images = operations, operations[0].outputs[0].shape[0]
        outside = _shared_roots(operations, program)
        made = {value.root for operation in operations for value in operation.outputs}
        super().__init__(
            operations[0].layer,
            [root for root in outside if root not in made],
            [root for root in outside if root in made],
        )
        self._one: dict[Value, Value] = {}
        self._program = Program(program.dtype)
        self._program.operations = [each.for_one_image(self._of_one) for each in operations]
        self._outside = {self._of_one(root): root for root in outside}
        self._places, self._size = place_values(self._program, self._outside)

    @property
    def in_place(self) -> bool:
        return False

    @property
    def own_elements(self) -> int:
        """Elements that each thread needs for itself."""
        return self._size

    def macs(self) -> int:
        return sum(operation.macs() for operation in self.operations)

    def __str__(self) -> str:
        return "\n".join(["image by image:", *(f"  {each}" for each in self.operations)])

    def pack(self, known: dict[tuple[Any, ...], np.ndarray]) -> None:
        """Lays out the weights of the products."""
        for operation in self._program.operations:
            if isinstance(operation, Product):
                operation.pack(known)

    def _of_one(self, value: Value) -> Value:
        """Returns what a value is for one image."""
        if value not in self._one:
            base = None if value.base is None else self._of_one(value.base)
            self._one[value] = Value(value.name, (1, *value.shape[1:]), base, value.offset)
        return self._one[value]

    def emit(self, memory: Callable[[Value], np.ndarray]) -> bool:
        given = {one: memory(root) for one, root in self._outside.items()}
        arena = Arena(self._program, self._places, self._size, given)
        itemsize = self._program.dtype.itemsize
        spans = [
            (given[one].ctypes.data, root.count * itemsize, one.count * itemsize)
            for one, root in self._outside.items()
        ]
        own, own_bytes = arena.span

        def place(address: int) -> Place | None:
            if 0 <= address - own < own_bytes:
                return 0, address - own
            for start, size, image in spans:
                if 0 <= address - start < size:
                    return image, -1
            return None

        run_by_image(arena.tape, self.images, own_bytes, place)
        return True


def _shared_roots(operations: list[Operation], program: Program) -> list[Value]:
    """Returns the roots that these operations touch and others, too, in order."""
    mine = {id(operation) for operation in operations}
    others = [op for op in program.operations if id(op) not in mine]
    seen = (*program.wanted.values(), *program.kept, *program.inputs.values())
    shared = {value.root for value in (*seen, *_values(others))}
    return [root for root in dict.fromkeys(v.root for v in _values(operations)) if root in shared]


def _values(operations: Iterable[Operation]) -> Iterator[Value]:
    for operation in operations:
        yield from (*operation.inputs, *operation.outputs)


def run_image_by_image(program: Program) -> None:
    """Operations in a row that take each image by itself become stretches where that pays."""
    found: list[Operation] = []
    row: list[Operation] = []

    def end_row() -> None:
        if len(row) > 1 and _outgrows_caches(row, program):
            found.append(Stretch(list(row), program))
        else:
            found.extend(row)
        row.clear()

    for operation in program.operations:
        alone = _takes_images_alone(operation, program)
        if not alone or (row and row[0].outputs[0].shape[0] != operation.outputs[0].shape[0]):
            end_row()
        if alone:
            row.append(operation)
        else:
            found.append(operation)
    end_row()
    program.operations = found
    program.changed()


def _takes_images_alone(operation: Operation, program: Program) -> bool:
    """Says whether an operation computes each image from that image alone, in no other memory
    than its values', and its weights are not too large for that."""
    values = list(_values([operation]))
    images = (
        operation.outputs[0].shape[0] if operation.outputs and operation.outputs[0].shape else 0
    )
    if operation.constant or images < 2:
        return False
    for value in values:
        maker = program.maker(value.root)
        if any(not inner.shape or inner.shape[0] != images for inner in value.lies_in()):
            return False
        if maker is not None and maker.constant:
            return False
    elements = sum(value.count for value in values) // images
    if elements * program.dtype.itemsize > IMAGE_BYTES:
        return False
    if isinstance(operation, Product):
        weights = operation.weight_bytes // operation.weight.itemsize
        return operation.strided(values[0]) and weights <= WEIGHT_SHARE * elements
    if isinstance(operation, PartCopy):
        return operation.rows == images
    if isinstance(operation, ChannelAffine):
        return True
    layer = operation.layer
    if isinstance(layer, Pooling):
        return len(operation.outputs) == 1 and not layer.draws
    return isinstance(layer, Activation | Eltwise | LRN)


def _outgrows_caches(operations: Iterable[Operation], program: Program) -> bool:
    most = max(sum(value.count for value in _values([operation])) for operation in operations)
    return most * program.dtype.itemsize > CACHED_BYTES
