"""Recurrent layers: step by step, or by Scan where the number of steps is open; each run begins
with the states at 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ..place import Place
from ..registry import writes
from ..values import Value, is_free

Cell: TypeAlias = Callable[[Place, list[Value], Value, Value], tuple[list[Value], Value]]
"""From states, a step's gates and cont to the next states and the output."""

_FLOAT = 1


def _steps(at: Place) -> tuple[int, int, int]:
    """Returns the number of steps, N, and H."""
    layer: Any = at.layer
    return at.x.dims[0], at.x.dims[1], layer.size


def _product(at: Place, x: Value, number: int) -> Value:
    """x Wᵀ for the parameter of that number."""
    return at.op("MatMul", x, at.writer.constant(at.blobs[number].T.copy(), str(number)))


def _recurrent(at: Place) -> int:
    """Returns the number of the parameter that meets the state."""
    layer: Any = at.layer
    return 3 if layer.has_static else 2


def _gates(at: Place) -> tuple[Value, Value]:
    """Returns what x and x_static add to each step's gates, T×N×…, and cont, T×N×1."""
    layer: Any = at.layer
    steps, n, size = _steps(at)
    rows = 1
    for length in at.x.dims[2:]:
        rows *= int(length)
    x = at.reshape(at.x, (steps, n, rows))
    gates = _product(at, x, 0) + at.weight(1)
    if layer.has_static:
        static = at.bottoms[2].op("Flatten", axis=1)
        gates = gates + _product(at, static, 2)
    gates.dims = (steps, n, layer.gates * size)
    return gates, at.reshape(at.bottoms[1], (steps, n, 1))


def _states(at: Place, count: int) -> list[Value]:
    """Returns the states before the first step: bottoms, or 0."""
    layer: Any = at.layer
    _, n, size = _steps(at)
    if layer.exposed:
        return [at.reshape(state, (n, size)) for state in at.bottoms[-count:]]
    cont = at.reshape(at.bottoms[1], (at.bottoms[1].dims[0], n, 1))
    first = at.reshape(at.slice(cont, [0], [1], [0]), (n, 1))
    return [first * at.writer.constant(np.zeros((1, size), np.float32))] * count


def _run(at: Place, cell: Cell, count: int) -> list[Value]:
    """Returns all steps' outputs, and the last states where they are exposed."""
    layer: Any = at.layer
    steps, n, size = _steps(at)
    gates, cont = _gates(at)
    states = _states(at, count)
    if is_free(steps):
        y, states = _scanned(at, cell, gates, cont, states)
    else:
        outputs = []
        for step, keep in zip(_each(at, gates), _each(at, cont), strict=True):
            states, output = cell(at, states, step, keep)
            outputs.append(at.reshape(output, (1, n, size)))
        y = at.op("Concat", *outputs, axis=0) if len(outputs) > 1 else outputs[0]
    shown = states if layer.exposed else []
    return [y, *(at.reshape(state, (1, n, size)) for state in shown)]


def _each(at: Place, x: Value) -> list[Value]:
    """Cuts x into its steps."""
    parts = at.split(x, [1] * int(x.dims[0]), 0)
    return [at.reshape(part, x.dims[1:]) for part in parts]


def _scanned(
    at: Place, cell: Cell, gates: Value, cont: Value, states: list[Value]
) -> tuple[Value, list[Value]]:
    """Runs the cell over any number of steps. Returns all outputs and the last states."""
    writer = at.writer.inner()
    inside = Place(writer, at.layer, [], [])
    given = [Value(writer, writer.fresh(f"{writer.prefix}/step")) for _ in (*states, gates, cont)]
    after, output = cell(inside, given[:-2], given[-2], given[-1])
    body = writer.body([(value, _FLOAT) for value in given], [*after, output])
    found = at.ops("Scan", len(states) + 1, *states, gates, cont, body=body, num_scan_inputs=2)
    return found[-1], found[:-1]


def _rnn_cell(
    at: Place, states: list[Value], gates: Value, keep: Value
) -> tuple[list[Value], Value]:
    recurrent = _recurrent(at)
    h = (gates + _product(at, states[0] * keep, recurrent)).op("Tanh")
    return [h], (_product(at, h, recurrent + 1) + at.weight(recurrent + 2)).op("Tanh")


def _lstm_cell(
    at: Place, states: list[Value], gates: Value, keep: Value
) -> tuple[list[Value], Value]:
    layer: Any = at.layer
    h, c = states
    both = gates + _product(at, h * keep, _recurrent(at))
    c, h = _unit(at, both, c, keep, layer.size, 1)
    return [h, c], h


def _unit(at: Place, gates: Value, c: Value, keep: Value, size: int, axis: int) -> list[Value]:
    """c = cont f c_before + i g, h = o tanh(c). Returns c, h."""
    i, f, o, g = at.split(gates, [size] * 4, axis)
    c = keep * f.op("Sigmoid") * c + i.op("Sigmoid") * g.op("Tanh")
    return [c, o.op("Sigmoid") * c.op("Tanh")]


@writes("RNN")
def rnn(at: Place) -> list[Value]:
    """MatMul, Add, Tanh, step by step; in a Scan where the number of steps is open."""
    return _run(at, _rnn_cell, 1)


@writes("LSTM")
def lstm(at: Place) -> list[Value]:
    """MatMul, Add, Split, Sigmoid, Tanh, Mul, step by step; in a Scan where the number of steps is
    open."""
    return _run(at, _lstm_cell, 2)


@writes("LSTMUnit")
def lstm_unit(at: Place) -> list[Value]:
    """Split, Sigmoid, Tanh, Mul, Add."""
    c, gates, cont = at.bottoms
    keep = at.reshape(cont, (*cont.dims, 1))
    return _unit(at, gates, c, keep, int(c.dims[-1]), len(c.dims) - 1)
