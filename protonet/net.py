"""Net: a checked graph given memory, run forward and backward.

Layers run from Python once after each change of shapes; the kernels they call are recorded
and replayed by one call into C on later passes, up to the next layer that must run from
Python (data sources, layers whose work depends on the data).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import numpy as np

from protonet import net_weights
from protonet.blob import Blob
from protonet.chains import Chain, chains_of
from protonet.check.graph import Graph, Node, build_graph, layer_diagnostic
from protonet.check.memory import memory_diagnostic
from protonet.check.propagation import loss_weights, plan_backward
from protonet.fillers import fill
from protonet.ir.document import Document, read_net_document
from protonet.ir.protonet_pb2 import TEST, FillerParameter, NetParameter, NetState
from protonet.ir.rules import net_state
from protonet.ir.upgrade import upgrade_net
from protonet.layers.base import Layer, LayerError
from protonet.prototxt.diagnostics import Diagnostic, Error
from protonet.prototxt.source import SourceMap
from protonet.recorded_pass import RecordedPass

__all__ = ["LAYER_STREAM", "Net"]

_FILLER_STREAM, LAYER_STREAM = 0, 1  # what a net's seed is joined with


class Net:
    """A network that runs: blobs by name, layers in order, parameters by layer name.

    `net` is a prototxt file, a NetParameter or a Document. The net is built for `phase` (with
    `level` and `stages` for its include and exclude rules), in float32 unless `dtype` says
    float64. `seed` fixes fillers, dropout, shuffling and augmentation; None draws a fresh one.
    Raises protonet.Error with all diagnostics if the net is wrong.
    """

    def __init__(
        self,
        net: str | os.PathLike[str] | NetParameter | Document[NetParameter],
        phase: int = TEST,
        *,
        weights: str | os.PathLike[str] | None = None,
        level: int = 0,
        stages: Sequence[str] = (),
        state: NetState | None = None,
        dtype: type = np.float32,
        seed: int | None = None,
    ) -> None:
        self.document = document = _document(net)
        if state is None:
            state = net_state(document.message, phase, level, stages)
        self.graph: Graph = build_graph(document.message, document.source, state)
        self.diagnostics: list[Diagnostic] = document.diagnostics + self.graph.diagnostics
        if self.graph.failed:
            raise Error(*self.diagnostics)
        too_large = memory_diagnostic(self.graph, np.dtype(dtype).itemsize)
        if too_large is not None:
            raise Error(too_large)
        self.name, self.phase, self.dtype = self.graph.name, state.phase, np.dtype(dtype)
        self.seed = seed if seed is not None else int(np.random.SeedSequence().entropy % 2**63)  # type: ignore[operator]
        self.loss = 0.0
        nodes = self.graph.nodes
        self.layers: list[Layer] = [cast(Layer, node.layer) for node in nodes]
        self._blobs = [Blob((), self.dtype) for _ in self.graph.blob_names]
        self._bottoms = [[self._blobs[i] for i in node.bottoms] for node in nodes]
        self._tops = [[self._blobs[i] for i in node.tops] for node in nodes]
        self.loss_weights = [
            loss_weights(n, layer) for n, layer in zip(nodes, self.layers, strict=True)
        ]
        self._losses = [
            (blob, weight)
            for tops, weights_ in zip(self._tops, self.loss_weights, strict=True)
            for blob, weight in zip(tops, weights_, strict=True)
            if weight
        ]
        self.blobs: dict[str, Blob] = dict(zip(self.graph.blob_names, self._blobs, strict=True))
        self.layer_names: list[str] = [layer.name for layer in self.layers]
        self._judging = [
            index for index, layer in enumerate(self.layers) if type(layer).judge != Layer.judge
        ]
        self._make_parameters()
        self._plan_gradients()
        for index, layer in enumerate(self.layers):
            layer.random = self._stream(index)
        self._input_layers = [i for i, layer in enumerate(self.layers) if layer.type == "Input"]
        dynamic = [layer.dynamic for layer in self.layers]
        chains = chains_of(self.layers, self._bottoms, self._tops, self._needs_backward)
        self._forward_pass = RecordedPass(
            dynamic, 1, self._step_forward, chains, lambda chain: chain.forward()
        )
        self._backward_pass = RecordedPass(
            dynamic, -1, self._step_backward, chains, lambda chain: chain.backward()
        )
        self._setting_pass = RecordedPass(
            dynamic, -1, self._step_setting, chains, self._chain_setting
        )
        self._gradients_begin = False
        self._known: list[list[tuple[int, ...]]] = [[] for _ in nodes]
        self._stale: set[int] = set()  # layers that do not know of their blobs' present shapes
        self._last = len(nodes) - 1  # where the pass under way ends
        self._given: dict[int, list[tuple[tuple[int, ...], int]]] = {}  # tops of input layers
        self._reshape_from(0)
        if weights is not None:
            self.copy_from(weights)

    # ---- building

    def _make_parameters(self) -> None:
        for layer in self.layers:
            layer.blobs = []
        owners: dict[tuple[int, int], tuple[int, int]] = {}
        for learnable in self.graph.learnable:
            for use in learnable.uses:
                owners[use] = learnable.uses[0]
        self.params: dict[str, list[Blob]] = {}
        for index, node in enumerate(self.graph.nodes):
            layer = self.layers[index]
            for number, wanted in enumerate(node.parameters or ()):
                blob = Blob(wanted.shape, self.dtype)
                owner = owners[index, number]
                if owner == (index, number):
                    if wanted.initial is not None:
                        blob.data[...] = wanted.initial
                    elif wanted.filler is not None and not _is_zero(wanted.filler):
                        stream = np.random.default_rng([self.seed, _FILLER_STREAM, index, number])
                        try:
                            fill(blob.data, wanted.filler, stream)
                        except LayerError as error:
                            error.field = (*wanted.field, *error.field)
                            raise Error(layer_diagnostic(self.graph, node, error)) from None
                else:
                    first = self.layers[owner[0]].blobs[owner[1]]
                    blob.share_data(first)
                    blob.share_diff(first)
                layer.blobs.append(blob)
            if layer.blobs:
                self.params.setdefault(layer.name, layer.blobs)
        self.learnable_params: list[Blob] = []
        self.params_lr: list[float] = []
        self.params_weight_decay: list[float] = []
        for learnable in self.graph.learnable:
            index, number = learnable.uses[0]
            self.learnable_params.append(self.layers[index].blobs[number])
            self.params_lr.append(learnable.lr_mult)
            self.params_weight_decay.append(learnable.decay_mult)

    def _stream(self, layer: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, LAYER_STREAM, layer])

    def _plan_gradients(self) -> None:
        plan = plan_backward(self.graph, self.layers)
        self._needs_backward = plan.layers
        for index, layer in enumerate(self.layers):
            layer.propagate_down = plan.bottoms[index]
            layer.param_propagate_down = plan.parameters[index]
        shared = {i for known in self.graph.learnable if len(known.uses) > 1 for i, _ in known.uses}
        self._sets_gradients = [
            layer.sets_gradients and needed and index not in shared
            for index, (layer, needed) in enumerate(zip(self.layers, plan.layers, strict=True))
        ]
        self._added_to: list[Blob] = []  # parameters whose gradients no layer sets
        for known, blob in zip(self.graph.learnable, self.learnable_params, strict=True):
            index, number = known.uses[0]
            if not (self._sets_gradients[index] and plan.parameters[index][number]):
                self._added_to.append(blob)

    # ---- shapes

    def reshape(self) -> None:
        """Infers all shapes again from those of the input blobs, and sizes all memory."""
        self._reshape_from(0)

    def forget_shapes(self) -> None:
        """Has every layer reshaped before it runs again: blobs have other shapes or memory."""
        self._stale.update(range(len(self.layers)))

    def forget_gradients(self) -> None:
        """Has the backward pass of every layer recorded anew: gradients have other memory."""
        for index in range(len(self.layers)):
            self._forget_backward(index)

    def _forget_backward(self, index: int) -> None:
        self._backward_pass.forget(index)
        self._setting_pass.forget(index)

    def _settle(self, first: int, last: int) -> None:
        """Reshapes the layers among first … last that do not know of their blobs' shapes."""
        if self._stale:
            start = min((i for i in self._stale if first <= i <= last), default=None)
            if start is not None:
                self._reshape_from(start, last)

    def _reshape_from(self, start: int, last: int | None = None) -> None:
        """Reshapes layers start … last; those after it are reshaped when they run."""
        end = len(self.layers) if last is None else last + 1
        self._stale.update(range(start, len(self.layers)))  # and stay so if a shape is refused
        for index in range(start, end):
            layer, node = self.layers[index], self.graph.nodes[index]
            bottom, top = self._bottoms[index], self._tops[index]
            shapes = [blob.shape for blob in bottom]
            self._forward_pass.forget(index)
            self._forget_backward(index)
            if not bottom and self._known[index] and (layer.is_data or not layer.dynamic):
                tops = [blob.shape for blob in top]  # an input keeps what the user made of it
            else:
                tops = self._judged(node, layer, shapes)
            for blob, shape in zip(top, tops, strict=True):
                blob.reshape(*shape)
            layer.reshape(bottom, top)
            for blob, weight in zip(top, self.loss_weights[index], strict=True):
                if weight:
                    blob.diff[...] = weight
            self._note(index)
            self._stale.discard(index)

    def _note(self, index: int) -> None:
        """Takes the shapes of a layer's tops, and of an input's the memory, as known."""
        self._known[index] = [blob.shape for blob in self._tops[index]]
        if index in self._input_layers:
            self._given[index] = _shapes_and_moves(self._tops[index])

    def _judged(
        self, node: Node, layer: Layer, shapes: list[tuple[int, ...]]
    ) -> list[tuple[int, ...]]:
        """Returns the tops' shapes; the parameters must still fit."""
        try:
            tops = layer.infer(shapes)
            wanted = layer.parameters(shapes)
        except LayerError as error:
            node.bottom_shapes = list(shapes)
            raise Error(layer_diagnostic(self.graph, node, error)) from None
        for number, (blob, parameter) in enumerate(zip(layer.blobs, wanted, strict=True)):
            if blob.shape != parameter.shape and blob.count != int(np.prod(parameter.shape)):
                node.bottom_shapes = list(shapes)
                unfit = net_weights.misfit(number, blob.shape, parameter.shape)
                raise Error(layer_diagnostic(self.graph, node, unfit))
        return tops

    # ---- running

    def forward(
        self, start: str | None = None, end: str | None = None, **inputs: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Runs the layers from `start` to `end` (names, both included); returns output blobs.

        `inputs` are copied into the input blobs of those names, which take their shapes. The
        arrays returned are live views: the next pass overwrites them. `loss` is set.
        """
        for name, values in inputs.items():
            self._set_input(name, values)
        first = self._index(start) if start is not None else 0
        last = self._index(end) if end is not None else len(self.layers) - 1
        self.run_forward(first, last)
        names = self.outputs if end is None else self.top_names[end]
        return {name: self.blobs[name].data for name in names}

    def _set_input(self, name: str, values: np.ndarray) -> None:
        blob = self.blobs.get(name)
        if blob is None or name not in self.inputs:
            known = ", ".join(self.inputs) or "none"
            raise Error(f'the net has no input blob "{name}" (inputs: {known})')
        values = np.asarray(values)
        if values.shape != blob.shape:
            blob.reshape(*values.shape)
        blob.data[...] = values

    def run_forward(self, first: int = 0, last: int | None = None) -> float:
        """Runs layers first … last by index and returns the loss: Σ weight · Σ top."""
        last = len(self.layers) - 1 if last is None else last
        for index in self._input_layers:
            if self._given[index] != _shapes_and_moves(self._tops[index]):
                self._note(index)
                self._stale.update(range(index, len(self.layers)))
        self._settle(first, last)
        self._last = last
        self._forward_pass.run(first, last)
        self._judge(first, last)
        total = 0.0
        for blob, weight in self._losses:
            total += weight * float(blob.data.sum() if blob.shape else blob.data)
        self.loss = total
        return total

    def backward(self, start: str | None = None, end: str | None = None) -> None:
        """Runs the layers backward from `start` (the later one) to `end`, names included.

        Parameters' gradients are added up over passes: see clear_param_diffs.
        """
        first = self._index(start) if start is not None else len(self.layers) - 1
        last = self._index(end) if end is not None else 0
        self.run_backward(first, last)

    def run_backward(self, first: int | None = None, last: int = 0) -> None:
        """Runs layers first … last backward by index, first ≥ last."""
        whole = len(self.layers) - 1
        first = whole if first is None else first
        self._settle(last, first)
        begin, self._gradients_begin = self._gradients_begin, False
        if begin and first == whole and last == 0 and not self._backward_pass.is_watched:
            for blob in self._added_to:
                blob.diff.fill(0)
            self._setting_pass.run(first, last)
            return
        if begin:
            self.clear_param_diffs()
        self._backward_pass.run(first, last)

    def before_forward(self, call: Callable[[int], object]) -> None:
        """Calls `call` with the layer's index before each layer of every forward pass."""
        self._forward_pass.before.append(call)

    def after_forward(self, call: Callable[[int], object]) -> None:
        """Calls `call` with the layer's index after each layer of every forward pass."""
        self._forward_pass.after.append(call)

    def before_backward(self, call: Callable[[int], object]) -> None:
        """Calls `call` with the layer's index before each layer of every backward pass."""
        self._backward_pass.before.append(call)

    def after_backward(self, call: Callable[[int], object]) -> None:
        """Calls `call` with the layer's index after each layer of every backward pass."""
        self._backward_pass.after.append(call)

    def run_timed(self) -> tuple[dict[int, float], dict[int, float]]:
        """Runs all layers forward and backward, one by one; returns the seconds that each took,
        by index, those that have nothing to do backward left out."""
        self.run_forward(0, -1)
        last = self._last = len(self.layers) - 1
        self._settle(0, last)
        forward = self._forward_pass.run_timed(0, last)
        self._judge(0, last)
        backward = self._backward_pass.run_timed(last, 0)
        return forward, {i: s for i, s in backward.items() if self._needs_backward[i]}

    def begin_gradients(self) -> None:
        """Has the next backward pass set the parameters' gradients instead of adding to them.

        In effect clear_param_diffs, but `diff` stays what it is until then, and no time is spent.
        """
        self._gradients_begin = True

    def clear_param_diffs(self) -> None:
        """Sets all parameters' gradients to zero."""
        self._gradients_begin = False
        for blob in self.learnable_params:
            blob.diff.fill(0)

    def reseed(self, seed: int) -> None:
        """Begins what layers draw in a pass (dropout, DummyData) anew with this seed.

        Parameters and the order of the data stay.
        """
        self.seed = seed
        for index, layer in enumerate(self.layers):
            layer.reseed(self._stream(index))

    def _judge(self, first: int, last: int) -> None:
        """Lets the layers among first … last tell what values their kernels refused."""
        for index in self._judging:
            if first <= index <= last:
                try:
                    self.layers[index].judge(self._bottoms[index])
                except LayerError as error:
                    node = self.graph.nodes[index]
                    raise Error(layer_diagnostic(self.graph, node, error)) from None

    def _step_forward(self, index: int) -> None:
        """Runs one layer from Python; a dynamic layer may change its tops' shapes."""
        layer = self.layers[index]
        try:
            layer.forward(self._bottoms[index], self._tops[index])
        except LayerError as error:
            raise Error(layer_diagnostic(self.graph, self.graph.nodes[index], error)) from None
        if layer.dynamic:
            shapes = [blob.shape for blob in self._tops[index]]
            if shapes != self._known[index]:
                self._known[index] = shapes
                self._reshape_from(index + 1, self._last)

    def _step_backward(self, index: int) -> None:
        layer = self.layers[index]
        if not self._needs_backward[index]:
            return
        try:
            for label in layer.labels:
                if label < layer.bottom_count and layer.propagate_down[label]:
                    raise LayerError(
                        f"{layer.type} has no gradient for its bottom {label}",
                        bottom=label,
                        help="feed it from a data layer, or set propagate_down: false",
                    )
            layer.backward(self._tops[index], self._bottoms[index])
        except LayerError as error:
            raise Error(layer_diagnostic(self.graph, self.graph.nodes[index], error)) from None

    def _step_setting(self, index: int) -> None:
        with self._setting((index,)):
            self._step_backward(index)

    def _chain_setting(self, chain: Chain) -> None:
        with self._setting(chain.backward_layers):
            chain.backward()

    @contextmanager
    def _setting(self, indices: Sequence[int]) -> Iterator[None]:
        """Has these layers set the gradients of their parameters, where they can, not add."""
        for index in indices:
            self.layers[index].adds = not self._sets_gradients[index]
        try:
            yield
        finally:
            for index in indices:
                self.layers[index].adds = True

    def _index(self, name: str) -> int:
        try:
            return self.layer_names.index(name)
        except ValueError:
            raise Error(f'the net has no layer "{name}"') from None

    # ---- names

    @property
    def inputs(self) -> list[str]:
        """Names of the blobs that Input layers make."""
        return [n for i in self._input_layers for n in self.top_names[self.layer_names[i]]]

    @property
    def outputs(self) -> list[str]:
        """Names of the blobs that no layer consumes, in alphabetical order."""
        return self.graph.outputs

    @property
    def runs_backward(self) -> list[bool]:
        """Says of each layer whether a backward pass has anything to do there."""
        return self._needs_backward

    @property
    def blob_loss_weights(self) -> dict[str, float]:
        """Weight in the loss of each blob that has one."""
        names = self.graph.blob_names
        return {
            names[top]: weight
            for node, weights in zip(self.graph.nodes, self.loss_weights, strict=True)
            for top, weight in zip(node.tops, weights, strict=True)
            if weight
        }

    @property
    def top_names(self) -> dict[str, list[str]]:
        names = self.graph.blob_names
        return {n.param.name: [names[i] for i in n.tops] for n in self.graph.nodes}

    @property
    def bottom_names(self) -> dict[str, list[str]]:
        names = self.graph.blob_names
        return {n.param.name: [names[i] for i in n.bottoms] for n in self.graph.nodes}

    # ---- weights

    def copy_from(self, weights: str | os.PathLike[str]) -> None:
        """Loads parameters by layer name from a .caffemodel or .caffemodel.h5 file.

        Layers that the file does not have keep their values; shapes must agree, else an
        Error lists every parameter that does not fit.
        """
        net_weights.copy_from(self, weights)

    def share_with(self, other: Net) -> None:
        """Makes this net's parameters the other's memory, by layer name."""
        net_weights.share_with(self, other)

    def save(self, path: str | os.PathLike[str], *, diffs: bool = False) -> None:
        """Writes net and parameters as .caffemodel (or HDF5 if the name ends in .h5).

        With `diffs` the parameters' `diff` is written too.
        """
        net_weights.save(self, path, diffs=diffs)

    def close(self) -> None:
        """Lets go of data sources."""
        for layer in self.layers:
            layer.close()


def _shapes_and_moves(blobs: Sequence[Blob]) -> list[tuple[tuple[int, ...], int]]:
    return [(blob.shape, blob.moves) for blob in blobs]


def _is_zero(filler: FillerParameter) -> bool:
    """Says whether a filler leaves new memory as it is: untouched, that costs neither time nor
    memory, which counts for large nets that get their weights from a file."""
    return filler.type == "constant" and filler.value == 0


def _document(
    net: str | os.PathLike[str] | NetParameter | Document[NetParameter],
) -> Document[NetParameter]:
    if isinstance(net, Document):
        return net
    if isinstance(net, NetParameter):
        copy = NetParameter()
        copy.CopyFrom(net)
        return Document(*upgrade_net(copy, SourceMap()))
    return read_net_document(net)
