"""Recurrent layers, step by step; each run begins with the states at 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..place import Place
from ..registry import writes
from ..values import Value


def _steps(at: Place) -> tuple[int, int, int]:
    """Returns the number of steps, which must be known, N, and H."""
    steps = at.fixed(at.x.dims[0], "the number of steps (axis 0)")
    layer: Any = at.layer
    return steps, at.x.dims[1], layer.size


def _product(at: Place, x: Value, number: int) -> Value:
    """x Wᵀ for the parameter of that number."""
    return at.op("MatMul", x, at.writer.constant(at.blobs[number].T.copy(), str(number)))


def _gates(at: Place) -> tuple[list[Value], list[Value]]:
    """Returns what x and x_static add to each step's gates, N×…, and cont of each step, N×1."""
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
    cont = at.reshape(at.bottoms[1], (steps, n, 1))
    return _each(at, gates, (n, layer.gates * size)), _each(at, cont, (n, 1))


def _each(at: Place, x: Value, dims: tuple[int, ...]) -> list[Value]:
    """Cuts x into its steps."""
    parts = at.split(x, [1] * int(x.dims[0]), 0)
    return [at.reshape(part, dims) for part in parts]


def _states(at: Place, count: int) -> list[Value]:
    """Returns the states before the first step: bottoms, or 0."""
    layer: Any = at.layer
    _, n, size = _steps(at)
    if layer.exposed:
        return [at.reshape(state, (n, size)) for state in at.bottoms[-count:]]
    gates = at.reshape(at.bottoms[1], (at.bottoms[1].dims[0], n, 1))
    first = at.reshape(at.slice(gates, [0], [1], [0]), (n, 1))
    return [first * at.writer.constant(np.zeros((1, size), np.float32))] * count


def _tops(at: Place, outputs: list[Value], states: list[Value]) -> list[Value]:
    """Returns all steps' outputs, and the last states where they are exposed."""
    layer: Any = at.layer
    _, n, size = _steps(at)
    rows = [at.reshape(output, (1, n, size)) for output in outputs]
    y = at.op("Concat", *rows, axis=0) if len(rows) > 1 else rows[0]
    shown = states if layer.exposed else []
    return [y, *(at.reshape(state, (1, n, size)) for state in shown)]


@writes("RNN")
def rnn(at: Place) -> list[Value]:
    """MatMul, Add, Tanh, step by step (the number of steps is fixed)."""
    layer: Any = at.layer
    recurrent = 3 if layer.has_static else 2
    gates, cont = _gates(at)
    (h,) = _states(at, 1)
    outputs = []
    for step, keep in zip(gates, cont, strict=True):
        h = (step + _product(at, h * keep, recurrent)).op("Tanh")
        outputs.append((_product(at, h, recurrent + 1) + at.weight(recurrent + 2)).op("Tanh"))
    return _tops(at, outputs, [h])


def _unit(at: Place, gates: Value, c: Value, keep: Value, size: int, axis: int) -> list[Value]:
    """c = cont f c_before + i g, h = o tanh(c). Returns c, h."""
    i, f, o, g = at.split(gates, [size] * 4, axis)
    c = keep * f.op("Sigmoid") * c + i.op("Sigmoid") * g.op("Tanh")
    return [c, o.op("Sigmoid") * c.op("Tanh")]


@writes("LSTM")
def lstm(at: Place) -> list[Value]:
    """MatMul, Add, Split, Sigmoid, Tanh, Mul, step by step (the number of steps is fixed)."""
    layer: Any = at.layer
    recurrent = 3 if layer.has_static else 2
    gates, cont = _gates(at)
    h, c = _states(at, 2)
    outputs = []
    for step, keep in zip(gates, cont, strict=True):
        both = step + _product(at, h * keep, recurrent)
        c, h = _unit(at, both, c, keep, layer.size, 1)
        outputs.append(h)
    return _tops(at, outputs, [h, c])


@writes("LSTMUnit")
def lstm_unit(at: Place) -> list[Value]:
    """Split, Sigmoid, Tanh, Mul, Add."""
    c, gates, cont = at.bottoms
    keep = at.reshape(cont, (*cont.dims, 1))
    return _unit(at, gates, c, keep, int(c.dims[-1]), len(c.dims) - 1)
