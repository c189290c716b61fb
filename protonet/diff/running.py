"""Running either side on the same inputs, to hold blob against blob."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from protonet.layers.base import Shape, shape_text
from protonet.net import Net
from protonet.onnx.verify import random_inputs, run_model, showing
from protonet.prototxt.diagnostics import Error

from .sides import Side

__all__ = ["NotRun", "Runs"]

Arrays = dict[str, np.ndarray]


class NotRun(Exception):
    """Two nets that cannot be run on the same input; the text says why."""


class Runs:
    """What two nets make of one input: the blobs of each, in the order in which they are made."""

    def __init__(self, a: Side, b: Side, given: Mapping[str, np.ndarray] | None) -> None:
        for side in (a, b):
            if side.cannot_run:
                raise NotRun(side.cannot_run)
            if not side.inputs:
                raise NotRun(f"{side.file} has no input")
        if a.has_weights != b.has_weights:
            bare = a if b.has_weights else b
            raise NotRun(f"{bare.file} has no weights: give them by --weights")
        shapes = _shapes(a, b)
        self._sides = a, b
        self._nets = _net(a, shapes), _net(b, shapes)
        first, second = self._nets
        if not a.has_weights and first is not None and second is not None:
            _same_parameters(first, second)
        self.inputs = dict(given) if given is not None else self._random(shapes)
        self.names = dict(zip(a.inputs, b.inputs, strict=True))  # a's input → b's
        if set(a.inputs) == set(b.inputs):
            self.names = {name: name for name in a.inputs}

    def _random(self, shapes: dict[str, Shape]) -> Arrays:
        first, second = self._nets
        if first is not None:
            return random_inputs(first)
        if second is not None:
            drawn = random_inputs(second)
            return dict(zip(shapes, (drawn[n] for n in self._sides[1].inputs), strict=True))
        random = np.random.default_rng(0)
        return {n: random.standard_normal(s).astype(np.float32) for n, s in shapes.items()}

    def blobs(self) -> tuple[Arrays, Arrays]:
        """Returns the blobs of both by name. Raises Error where a net refuses the inputs."""
        other = {self.names[name]: values for name, values in self.inputs.items()}
        a, b = self._sides
        return (
            _made(a, self._nets[0], self.inputs),
            _made(b, self._nets[1], other),
        )


def _shapes(a: Side, b: Side) -> dict[str, Shape]:
    """Returns the shapes of a's inputs: an ONNX model's, which may be fixed, go first."""
    if len(a.inputs) != len(b.inputs):
        raise NotRun(f"{a.file} has {len(a.inputs)} inputs, {b.file} {len(b.inputs)}")
    same = set(a.inputs) == set(b.inputs)
    matched = [b.inputs[name] if same else shape
               for name, shape in zip(a.inputs, b.inputs.values(), strict=True)]  # fmt: skip
    chosen = {}
    for (name, one), other in zip(a.inputs.items(), matched, strict=True):
        if one != other and (a.kind == b.kind or len(one) != len(other) or one[1:] != other[1:]):
            raise NotRun(f'input "{name}" is {shape_text(one)} here, {shape_text(other)} there')
        chosen[name] = other if b.kind == "onnx" else one
    return chosen


def _net(side: Side, shapes: dict[str, Shape]) -> Net | None:
    if side.document is None:
        return None
    try:
        net = side.net()
    except Error as error:
        raise NotRun(f"{side.file}: {error.diagnostics[0].message}") from None
    for name, shape in zip(
        shapes if set(shapes) == set(side.inputs) else side.inputs, shapes.values(), strict=True
    ):
        net.blobs[name].reshape(*shape)
    return net


def _same_parameters(a: Net, b: Net) -> None:
    """Gives b what a's fillers made, where both have the parameter."""
    for name, blobs in a.params.items():
        for one, other in zip(blobs, b.params.get(name, ()), strict=False):
            if one.shape == other.shape:
                other.data[...] = one.data


def _made(side: Side, net: Net | None, inputs: Arrays) -> Arrays:
    if net is not None:
        net.forward(**dict[str, Any](inputs))
        tops = [top for node in net.graph.nodes if node.param.type != "Split" for top in node.tops]
        names = dict.fromkeys(net.graph.blob_names[top] for top in tops)
        return {name: net.blobs[name].data for name in names}
    assert side.model is not None
    made = [name for node in side.model.graph.node for name in node.output if name]
    found = run_model(showing(side.model, made), inputs, side.file)
    ordered = {name: np.asarray(found[name]) for name in made if name in found}
    named = {blob: ordered[value] for blob, value in side.values.items() if value in ordered}
    return {**dict(inputs), **ordered, **named}
