"""Program: what a net computes, as operations over values that are each made once.

Lifted from a checked graph, so that passes can drop, fold, fuse and place operations. In-place
layers are undone here: what they make is a value of its own, and memory is decided last.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from protonet.check.graph import Graph
from protonet.layers.base import Layer, Shape, shape_text

__all__ = ["Operation", "Program", "Value", "lift"]


@dataclass(eq=False)
class Value:
    """An array that is made once: by an operation, or by the caller (an input).

    It has memory of its own, or lies in that of `base`, `offset` elements from its start; then
    its images are `image` elements apart if that is not 0.
    """

    name: str
    shape: Shape
    base: Value | None = None
    offset: int = 0
    image: int = 0

    @property
    def apart(self) -> int:
        """Elements from one image to the next in memory; 0: they follow each other."""
        return (self.base.apart if self.base is not None else 0) or self.image

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    def lies_in(self) -> Iterator[Value]:
        """Yields this value, its base, that one's base, and so on."""
        yield self
        if self.base is not None:
            yield from self.base.lies_in()

    @property
    def root(self) -> Value:
        """The value whose memory this one lies in."""
        return self if self.base is None else self.base.root

    @property
    def start(self) -> int:
        """Elements from the start of the root's memory to this value."""
        return 0 if self.base is None else self.offset + self.base.start


@dataclass(eq=False)
class Operation:
    """A layer in its place, with the values it reads and makes and its parameters."""

    layer: Layer
    inputs: list[Value]
    outputs: list[Value]
    weights: list[np.ndarray] = field(default_factory=list)
    constant: bool = False  # what it makes depends on shapes and parameters alone

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def kind(self) -> str:
        return self.layer.type

    @property
    def in_place(self) -> bool:
        """Says whether the output may take the place of the first input."""
        return self.layer.in_place

    def macs(self) -> int:
        """Returns the multiply-adds of one run; 0 where no products are summed."""
        return self.layer.macs([v.shape for v in self.inputs], [v.shape for v in self.outputs])

    def emit(self, memory: Callable[[Value], np.ndarray]) -> bool:
        """Calls kernels of its own, where `memory` gives the array that begins where a value
        does; False if the layer's forward is to run instead."""
        return False

    def for_one_image(self, of_one: Callable[[Value], Value]) -> Operation:
        """Returns this operation over one image of its values, given what each value is there."""
        found = copy.copy(self)
        found.inputs = [of_one(value) for value in self.inputs]
        found.outputs = [of_one(value) for value in self.outputs]
        return found

    def strided(self, value: Value) -> bool:
        """Says whether this operation can read or make `value` with its images apart."""
        return False

    def __str__(self) -> str:
        reads = " ".join(v.name for v in self.inputs)
        makes = " ".join(f"{v.name} {shape_text(v.shape)}" for v in self.outputs)
        return f"{self.kind} {self.name}: {reads} -> {makes}"


class Program:
    """Operations in order of execution; `inputs` and `wanted` (what stays readable) by name.

    `late` are those that Python must run on every pass, as what they make may change its shape,
    and all that depend on them: no pass touches them; `kept` is what they read.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self.exact = True  # whether products take weights as they are
        self.operations: list[Operation] = []
        self.late: list[Operation] = []
        self.kept: list[Value] = []
        self.inputs: dict[str, Value] = {}
        self.wanted: dict[str, Value] = {}
        self.names: dict[str, Value] = {}  # every blob of the net, as its last maker leaves it
        self._readers: dict[Value, list[Operation]] | None = None
        self._makers: dict[Value, Operation] | None = None

    def maker(self, value: Value) -> Operation | None:
        """Returns the operation that makes a value; None for an input."""
        if self._makers is None:
            self._makers = {made: op for op in self.operations for made in op.outputs}
        return self._makers.get(value)

    def readers(self, value: Value) -> list[Operation]:
        """Returns the operations that read a value or what lies in it, in order, each as often
        as it does."""
        if self._readers is None:
            self._readers = {}
            for operation in self.operations:
                for read in operation.inputs:
                    for inner in read.lies_in():
                        self._readers.setdefault(inner, []).append(operation)
        return self._readers.get(value, [])

    def only_reader(self, value: Value) -> Operation | None:
        """Returns the one operation that reads a value which nobody else needs to see."""
        readers = self.readers(value)
        return readers[0] if len(readers) == 1 and not self.is_wanted(value) else None

    def is_wanted(self, value: Value) -> bool:
        return any(value in seen.lies_in() for seen in (*self.wanted.values(), *self.kept))

    def changed(self) -> None:
        """Must be called after operations or what they read and make have been changed."""
        self._readers = self._makers = None

    def remove(self, gone: Iterable[Operation]) -> None:
        """Takes operations out."""
        dropped = {id(operation) for operation in gone}
        self.operations = [op for op in self.operations if id(op) not in dropped]
        self.changed()

    def replace(self, old: Operation, new: Operation) -> None:
        """Puts an operation in another's place."""
        self.operations[self.operations.index(old)] = new
        self.changed()

    def redirect(self, old: Value, new: Value) -> None:
        """Lets everyone who reads or wants `old`, or what lies in it, take `new`."""

        def taken(value: Value) -> Value:
            for inner in value.lies_in():
                if inner.base is old:
                    inner.base = new
            return new if value is old else value

        for operation in (*self.operations, *self.late):
            operation.inputs = [taken(value) for value in operation.inputs]
        self.kept = [taken(value) for value in self.kept]
        for names in (self.wanted, self.names):
            names.update({name: taken(value) for name, value in names.items()})
        self.changed()

    def listing(self) -> list[str]:
        """Returns one line for each operation."""
        return [line for operation in self.operations for line in str(operation).splitlines()]


def lift(
    graph: Graph,
    weights: Mapping[int, Sequence[np.ndarray]],
    wanted: Iterable[str],
    dtype: np.dtype,
) -> Program:
    """Returns the program of a graph whose shapes are all known.

    `weights` holds each node's parameters; `wanted` names the blobs that must stay readable.
    What Input and data layers make is given by the caller.
    """
    program = Program(dtype)
    current: dict[int, Value] = {}
    memory: dict[int, set[int]] = {}  # the blobs that share each blob's memory
    late: set[Value] = set()
    constant: set[Value] = set()
    for index, node in enumerate(graph.nodes):
        layer = node.layer
        if layer is None:
            raise ValueError(f"{node.title} has no layer")
        inputs = [current[blob] for blob in node.bottoms]
        outputs = []
        names = graph.top_names(node)
        for blob, name, shape in zip(node.tops, names, node.top_shapes, strict=True):
            value = Value(name, shape or ())
            current[blob] = program.names[value.name] = value
            outputs.append(value)
            if blob in node.bottoms:  # in place: whoever shares the memory sees it
                for other in memory.get(blob, set()) - {blob}:
                    old = current[other]
                    current[other] = Value(old.name, old.shape, value)
                    if program.names[old.name] is old:  # no later blob has the name
                        program.names[old.name] = current[other]
        if layer.shares_memory:
            shared = set().union({*node.tops}, *(memory.get(b, {b}) for b in node.bottoms))
            memory.update((blob, shared) for blob in shared)
        if layer.type == "Input" or layer.is_data:
            program.inputs.update((value.name, value) for value in outputs)
            continue
        operation = Operation(layer, inputs, outputs, list(weights.get(index, ())))
        if layer.dynamic or not late.isdisjoint(inputs):
            late.update(outputs)
            program.late.append(operation)
            continue
        operation.constant = layer.constant or (bool(inputs) and constant.issuperset(inputs))
        if operation.constant:
            constant.update(outputs)
        program.operations.append(operation)
    program.wanted = {name: program.names[name] for name in wanted}
    return program
