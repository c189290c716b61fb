"""Holding two nets against each other: layers, shapes, parameters, and what they compute.

Code: E530 a net without weights beside an ONNX model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from protonet.layers.base import Shape
from protonet.onnx.verify import TOLERANCE, Difference
from protonet.prototxt.diagnostics import Diagnostic, Error

from .running import NotRun, Runs
from .settings import Change, changes
from .sides import Side

__all__ = ["Comparison", "ShapeChange", "compare"]

_NOT_SETTINGS = frozenset(["name", "blobs"])


@dataclass(frozen=True)
class ShapeChange:
    """A blob or a parameter that has another shape on either side."""

    name: str
    a: Shape
    b: Shape


@dataclass
class Comparison:
    """What is different. Where one of the two alone is ONNX, `by_value`: its layers have other
    names, parameters are matched by their values, and what both compute decides."""

    a: Side
    b: Side
    tolerance: float
    by_value: bool
    only_a: list[str] = field(default_factory=list)  # layers
    only_b: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    shapes: list[ShapeChange] = field(default_factory=list)
    parameter_shapes: list[ShapeChange] = field(default_factory=list)
    parameters: list[Difference] = field(default_factory=list)  # those that differ
    parameters_alike: int = 0
    parameters_close: int = 0  # of those alike: not equal to the bit
    unmatched_a: list[str] = field(default_factory=list)  # parameters that nothing there equals
    unmatched_b: list[str] = field(default_factory=list)
    blobs_alike: int = 0
    first: Difference | None = None  # the first blob that differs
    first_made_by: str = ""  # the layers of a that make it
    not_run: str = ""  # why no blobs were compared

    @property
    def same(self) -> bool:
        """Says whether nothing that counts is different."""
        if self.by_value:
            unmatched = bool(self.not_run) and (self.unmatched_a or self.unmatched_b)
            return self.first is None and not unmatched
        return self.first is None and not (
            self.only_a or self.only_b or self.changes or self.shapes
            or self.parameter_shapes or self.parameters
        )  # fmt: skip


def compare(
    a: Side,
    b: Side,
    *,
    inputs: Mapping[str, np.ndarray] | None = None,
    tolerance: float = TOLERANCE,
) -> Comparison:
    """Compares two nets.

    Numbers are alike if they differ by no more than `tolerance` of the largest of their array.
    Both are run on `inputs` (by a's names) or on random ones. Weights alone run in the net of the
    other side. Raises Error if ONNX Runtime cannot run a model, or a net has no weights to hold
    against those of one.
    """
    found = Comparison(a, b, tolerance, (a.kind == "onnx") != (b.kind == "onnx"))
    if found.by_value and a.has_weights != b.has_weights:
        bare = a if b.has_weights else b
        raise Error(
            Diagnostic("E530", f"{bare.file} has no weights", help="give them by --weights")
        )
    a, b = _lent(a, b), _lent(b, a)
    if found.by_value or a.not_read or b.not_read:
        found.by_value = True
        _match_parameters(found, a, b)
    else:
        _compare_layers(found)
        _compare_parameters(found, a, b)
    try:
        runs = Runs(a, b, inputs)
    except NotRun as reason:
        found.not_run = str(reason)
        return found
    _compare_blobs(found, *runs.blobs())
    return found


def _lent(side: Side, other: Side) -> Side:
    """Returns a side that has weights alone with the other's net, if it has one they fit."""
    if side.kind != "weights" or other.document is None:
        return side
    from .sides import read_side

    try:
        lent = read_side(other.file, side.file)
    except Error as error:
        side.cannot_run = f"the weights do not fit: {error.diagnostics[0].message}"
        return side
    lent.file = side.file
    return lent


# ---- layers and shapes


def _compare_layers(found: Comparison) -> None:
    a, b = found.a, found.b
    bare = "weights" in (a.kind, b.kind)
    ours, theirs = (
        {n: layer for n, layer in s.layers.items() if not bare or n in s.parameter_shapes}
        for s in (a, b)
    )
    found.only_a = [name for name in ours if name not in theirs]
    found.only_b = [name for name in theirs if name not in ours]
    for name, layer in ours.items():
        other = theirs.get(name)
        if other is None:
            continue
        if bare and layer.type and other.type and layer.type != other.type:
            found.changes.append(Change(name, "type", layer.type, other.type))
        if not bare:
            found.changes += changes(name, layer, other, _NOT_SETTINGS)
    found.shapes = [
        ShapeChange(name, shape, b.shapes[name])
        for name, shape in a.shapes.items()
        if name in b.shapes and b.shapes[name] != shape
    ]


# ---- parameters


def _compare_parameters(found: Comparison, a: Side, b: Side) -> None:
    """Compares the parameters of layers that both have, number by number."""
    loose = "weights" in (found.a.kind, found.b.kind)
    for layer, shapes in a.parameter_shapes.items():
        others = b.parameter_shapes.get(layer)
        if others is None:
            continue
        if len(shapes) != len(others):
            change = Change(layer, "parameters", str(len(shapes)), str(len(others)))
            found.changes.append(change)
            continue
        ours, theirs = a.parameters.get(layer), b.parameters.get(layer)
        for number, (one, other) in enumerate(zip(shapes, others, strict=True)):
            name = f"{layer}[{number}]"
            if one != other and not (loose and _without_ones(one) == _without_ones(other)):
                found.parameter_shapes.append(ShapeChange(name, one, other))
            elif ours is not None and theirs is not None:
                _note(found, Difference.between(
                    name, theirs[number].reshape(one), ours[number]))  # fmt: skip


def _note(found: Comparison, difference: Difference) -> None:
    if difference.relative > found.tolerance:
        found.parameters.append(difference)
        return
    found.parameters_alike += 1
    found.parameters_close += difference.absolute > 0


def _without_ones(shape: Shape) -> Shape:
    """Returns a shape without the ones in front that files of old Caffes put there."""
    first = next((axis for axis, size in enumerate(shape) if size != 1), len(shape))
    return shape[first:]


def _match_parameters(found: Comparison, a: Side, b: Side) -> None:
    """Finds for each parameter of a one of b with the same numbers, whatever its shape."""
    theirs: dict[int, list[tuple[str, np.ndarray]]] = {}
    for name, array in _named(b):
        theirs.setdefault(array.size, []).append((name, array.reshape(-1)))
    for name, array in _named(a):
        same_size = theirs.get(array.size, [])
        flat = array.reshape(-1)
        for place, (_, other) in enumerate(same_size):
            difference = Difference.between(name, other, flat)
            if difference.relative <= found.tolerance:
                _note(found, difference)
                del same_size[place]
                break
        else:
            found.unmatched_a.append(name)
    found.unmatched_b = [name for rest in theirs.values() for name, _ in rest]


def _named(side: Side) -> Iterator[tuple[str, np.ndarray]]:
    for layer, arrays in side.parameters.items():
        for number, array in enumerate(arrays):
            yield f"{layer}[{number}]", array


# ---- blobs


def _compare_blobs(found: Comparison, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Compares the blobs of the same names, in a's order, up to the first that differs."""
    pairs = {name: name for name in ours if name in theirs}
    a, b = found.a, found.b
    if len(a.outputs) == len(b.outputs):
        pairs |= {
            one: other
            for one, other in zip(a.outputs, b.outputs, strict=True)
            if one not in pairs and one in ours and other in theirs
        }
    inputs = set(a.inputs)
    for name in ours:
        if name not in pairs or name in inputs:
            continue
        difference = Difference.between(
            name, np.asarray(theirs[pairs[name]]), np.asarray(ours[name])
        )
        if difference.relative > found.tolerance:
            found.first, found.first_made_by = difference, _makers(a, name)
            return
        found.blobs_alike += 1
    if not found.blobs_alike:
        found.not_run = "no blob has the same name in both"


def _makers(side: Side, blob: str) -> str:
    return ", ".join(name for name, layer in side.layers.items() if blob in layer.top)
