"""Passes that take out what computes nothing: copies, reshapes, what nobody wants."""

from __future__ import annotations

from protonet.layers.dropout import Dropout
from protonet.layers.joining import Parts
from protonet.layers.sharing import SameMemory, Split

from .program import Operation, Program, Value

__all__ = ["drop_identities", "prune"]


def drop_identities(program: Program) -> None:
    """Split, Dropout that does nothing in TEST, and Concat of one become the value they read;
    Flatten and Reshape become views of it."""
    gone = []
    for operation in program.operations:
        if _is_identity(operation):
            for value in operation.outputs:
                program.redirect(value, operation.inputs[0])
            gone.append(operation)
        elif isinstance(operation.layer, SameMemory):
            operation.outputs[0].base = operation.inputs[0]
    program.remove(gone)


def _is_identity(operation: Operation) -> bool:
    layer = operation.layer
    if isinstance(layer, Dropout):
        return not layer.draws and layer.scale == 1
    if isinstance(layer, Parts):
        return len(operation.inputs) == len(operation.outputs) == 1
    return isinstance(layer, Split)


def prune(program: Program) -> None:
    """Takes out operations that no wanted value depends on."""
    needed = {inner for value in program.wanted.values() for inner in value.lies_in()}
    program.late = _needed(program.late, needed)
    made = {value for operation in program.late for value in operation.outputs}
    read = [value for operation in program.late for value in operation.inputs]
    program.kept = [value for value in dict.fromkeys(read) if value not in made]
    program.operations = _needed(program.operations, needed)
    program.changed()


def _needed(operations: list[Operation], needed: set[Value]) -> list[Operation]:
    """Returns the operations that make a value of `needed`, or write files; adds what they read."""
    kept = []
    for operation in reversed(operations):
        writes = operation.layer.dynamic and not operation.outputs
        if writes or not needed.isdisjoint(operation.outputs):
            if not operation.layer.constant:
                for value in operation.inputs:
                    needed.update(value.lies_in())
            kept.append(operation)
    return kept[::-1]
