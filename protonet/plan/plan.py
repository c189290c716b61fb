"""Plan: a net compiled for inference.

A row of passes over the net's Program drops, folds, fuses and places; what is left is recorded
once for each caller and each set of input shapes, and replayed by one call into C.
`PROTONET_DEBUG=plan` prints what each pass changed.
"""

from __future__ import annotations

import difflib
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from protonet import kernels
from protonet.check.graph import build_graph, layer_diagnostic
from protonet.ir.protonet_pb2 import TEST, BlobShape, LayerParameter, NetParameter
from protonet.layers.base import Shape
from protonet.layers.registry import layer_class
from protonet.net import LAYER_STREAM, Net
from protonet.net_weights import misfit
from protonet.prototxt.diagnostics import Diagnostic, Error, nearest

from .arena import Arena
from .folding import find_affine, fold_affine, join_affine
from .fusion import fuse_activations, fuse_pools, fuse_sums
from .identities import drop_identities, prune
from .joining import place_parts
from .placement import place_values, work_in_place
from .product import Product, find_products
from .program import Program, Value, lift
from .stretches import Stretch, run_image_by_image

__all__ = ["Plan", "compile"]

Pass = Callable[[Program], None]
PASSES: tuple[Pass, ...] = (
    prune,
    drop_identities,
    find_products,
    find_affine,
    join_affine,
    fold_affine,
    fuse_activations,
    fuse_sums,
    fuse_activations,  # those that followed a sum
    fuse_pools,
    place_parts,
    work_in_place,
    run_image_by_image,
)
_MOST_SHAPES = 8  # sets of input shapes that stay compiled


def compile(
    net: Net | str | os.PathLike[str] | NetParameter,
    *,
    weights: str | os.PathLike[str] | None = None,
    keep: Sequence[str] = (),
    exact: bool = False,
) -> Plan:
    """Returns a plan that computes what the net does in TEST, faster and in less memory.

    `net` is a Net, whose weights are taken as they are now, or what Net takes, with `weights`.
    The outputs, and the blobs that `keep` names, are what `run` returns. Fully connected weights
    may be rounded to 20 bits, where reading them takes longest; 1×1 convolutions of many channels
    take seven products for eight (Strassen), where weights are of a scale; and where the processor
    has AMX, products are of pairs of bfloat16. Each errs by some 1e-5 of the largest terms, as
    Winograd's transforms do anywhere; `exact` does without. Raises protonet.Error
    if the net is wrong, is built for TRAIN, or has no blob of a name in `keep`.
    """
    if not isinstance(net, Net):
        net = Net(net, TEST, weights=weights)
    elif weights is not None:
        raise Error("give weights with a net that is a file, or load them into the Net")
    return Plan(net, keep, exact)


@dataclass(frozen=True)
class OperationTime:
    """An operation as the listing has it, its median time and its floating-point operations."""

    text: str
    seconds: float
    flop: int

    @property
    def gflop_per_s(self) -> float | None:
        """None for an operation that sums no products."""
        return self.flop / self.seconds / 1e9 if self.flop and self.seconds else None


class Plan:
    """A net ready to run; made by `compile`. One plan serves many threads.

    `inputs` are the input blobs' shapes by name (what data layers make counts as input),
    `outputs` the names of the blobs that `run` returns.
    """

    def __init__(self, net: Net, keep: Sequence[str] = (), exact: bool = False) -> None:
        if net.phase != TEST:
            raise Error("a plan is for inference: build the net for TEST")
        known = [name for node in net.graph.nodes for name in net.graph.top_names(node)]
        for name in keep:
            if name not in known:
                near = nearest(name, known)
                help = f'did you mean "{near}"?' if near else ""
                raise Error(Diagnostic("E102", f'the net has no blob "{name}"', help=help))
        self._source, self._state, self._dtype = net.document.source, net.graph.state, net.dtype
        self._net = _without_sources(net)
        self._seed = net.seed
        self._exact = exact
        self._weights = [[blob.data.copy() for blob in layer.blobs] for layer in net.layers]
        self.outputs = list(dict.fromkeys([*net.outputs, *keep]))
        self.inputs: dict[str, Shape] = {
            net.graph.blob_names[top]: net.blobs[net.graph.blob_names[top]].shape
            for node, layer in zip(net.graph.nodes, net.layers, strict=True)
            if layer.type == "Input" or layer.is_data
            for top in node.tops
        }
        self._packed: dict[tuple[Any, ...], np.ndarray] = {}  # weights, as kernels take them
        self._lock = threading.Lock()
        self._compiled: OrderedDict[tuple[Shape, ...], _Compiled] = OrderedDict()
        self._last = self._compiled_for(tuple(self.inputs.values()))

    def run(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the output blobs for these inputs, by name, in arrays of the caller's own.

        Every input must be given; other shapes than before are compiled when they first come.
        Safe to call from several threads.
        """
        arrays = self._judged(inputs)
        shapes = tuple([array.shape for array in arrays.values()])
        compiled = self._last
        if compiled.shapes != shapes:
            compiled = self._last = self._compiled_for(shapes)
        arena = compiled.take()
        try:
            return arena.run(arrays)
        finally:
            compiled.give(arena)

    def time(self, rounds: int = 10) -> tuple[list[OperationTime], float]:
        """Returns the operations with the median time of each, and that of whole runs in seconds,
        on noise of the shapes that ran last; operations that run behind the plan are left out.

        Operations are timed one by one, over the whole batch, those of a stretch too."""
        compiled = self._last
        random = np.random.default_rng(0)
        inputs = {
            name: random.uniform(-1, 1, shape) if len(shape) > 2 else np.zeros(shape)
            for name, shape in zip(self.inputs, compiled.shapes, strict=True)
        }
        single = _Compiled(
            self._program(compiled.shapes, PASSES[:-1]), compiled.shapes, self._packed
        )
        arena, parts = compiled.take(), single.take()
        seconds, whole = np.zeros((rounds, len(parts.tapes))), np.zeros(rounds)
        parts.run(inputs)
        for index in range(rounds):
            start = time.perf_counter()
            arena.run(inputs)
            whole[index] = time.perf_counter() - start
            parts.time(seconds[index])
        compiled.give(arena)
        return [
            OperationTime(str(operation), float(median), 2 * operation.macs())
            for (operation, _), median in zip(parts.tapes, np.median(seconds, axis=0), strict=True)
        ], float(np.median(whole))

    @property
    def activation_bytes(self) -> int:
        """The size of one caller's activations for the input shapes that ran last, with what
        each thread has of its own."""
        return self._last.elements * self._dtype.itemsize

    def __str__(self) -> str:
        return "\n".join(self._last.program.listing())

    def _judged(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if inputs.keys() != self.inputs.keys():
            known = ", ".join(self.inputs) or "none"
            for name in inputs:
                if name not in self.inputs:
                    raise Error(f'the net has no input blob "{name}" (inputs: {known})')
            missing = ", ".join(name for name in self.inputs if name not in inputs)
            raise Error(f"input {missing} is missing (inputs: {known})")
        found = {}
        for name in self.inputs:
            array = np.asarray(inputs[name])
            if array.dtype.kind not in "fiub":
                raise Error(f'input "{name}" must hold numbers, not {array.dtype}')
            found[name] = array
        return found

    def _compiled_for(self, shapes: tuple[Shape, ...]) -> _Compiled:
        with self._lock:
            found = self._compiled.get(shapes)
            if found is None:
                program = self._program(shapes, PASSES)
                found = self._compiled[shapes] = _Compiled(program, shapes, self._packed)
                if len(self._compiled) > _MOST_SHAPES:
                    self._compiled.popitem(last=False)
            self._compiled.move_to_end(shapes)
            return found

    def _program(self, shapes: tuple[Shape, ...], passes: Sequence[Pass]) -> Program:
        known = dict(zip(self.inputs, shapes, strict=True))
        graph = build_graph(self._net, self._source, self._state, known)
        if graph.failed:
            raise Error(*graph.diagnostics)
        for index, (node, arrays) in enumerate(zip(graph.nodes, self._weights, strict=True)):
            if node.layer is not None:
                node.layer.random = np.random.default_rng([self._seed, LAYER_STREAM, index])
            for number, (array, wanted) in enumerate(
                zip(arrays, node.parameters or (), strict=True)
            ):
                if array.size != int(np.prod(wanted.shape)):
                    error = misfit(number, array.shape, wanted.shape)
                    raise Error(layer_diagnostic(graph, node, error))
        program = lift(graph, dict(enumerate(self._weights)), self.outputs, self._dtype)
        program.exact = self._exact
        for step in passes:
            before = program.listing()
            step(program)
            if os.environ.get("PROTONET_DEBUG") == "plan":
                _print_changes(step.__name__, before, program.listing())
        return program


class _Compiled:
    """The program for one set of input shapes; arenas that are not in use wait here."""

    def __init__(
        self,
        program: Program,
        shapes: tuple[Shape, ...],
        packed: dict[tuple[Any, ...], np.ndarray],
    ) -> None:
        self.program, self.shapes = program, shapes
        for operation in program.operations:
            if isinstance(operation, Product | Stretch):
                operation.pack(packed)
        self.places: dict[Value, int]
        self.places, self.size = place_values(program)
        self._free: list[Arena] = [Arena(program, self.places, self.size)]

    @property
    def elements(self) -> int:
        """Elements of one arena and of what the team's threads have of their own."""
        own = [op.own_elements for op in self.program.operations if isinstance(op, Stretch)]
        return self.size + kernels.threads() * max(own, default=0)

    def take(self) -> Arena:
        try:
            return self._free.pop()
        except IndexError:
            return Arena(self.program, self.places, self.size)

    def give(self, arena: Arena) -> None:
        self._free.append(arena)


def _without_sources(net: Net) -> NetParameter:
    """Returns the net with an Input layer in place of each data layer."""
    found = NetParameter()
    found.CopyFrom(net.document.message)
    for param in found.layer:
        kind = layer_class(param.type)
        if kind is None or not kind.is_data:
            continue
        shapes = [BlobShape(dim=net.blobs[top].shape) for top in param.top if top in net.blobs]
        given = LayerParameter(name=param.name, type="Input", top=list(param.top))
        given.include.extend(param.include)
        given.exclude.extend(param.exclude)
        given.input_param.shape.extend(shapes)
        param.CopyFrom(given)
    return found


def _print_changes(name: str, before: Sequence[str], after: Sequence[str]) -> None:
    print(f"plan: {name}: {len(before)} operations -> {len(after)}", file=sys.stderr)
    for line in difflib.ndiff(before, after):
        if line[0] in "+-":
            print(f"plan:   {line}", file=sys.stderr)
