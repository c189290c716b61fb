"""A net with its trained weights, as an operation takes it and gives it back.

Codes: E501 an operation cannot be done here, E502 nothing to do.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from protonet.check.graph import Graph, build_graph
from protonet.check.phases import meant_phases
from protonet.check.weights import fit_weights
from protonet.ir.blobs import Array
from protonet.ir.document import Document, read_net_document
from protonet.ir.files import FilePath, atomic_write
from protonet.ir.layer_weights import Weights
from protonet.ir.protonet_pb2 import TEST, TRAIN, LayerParameter, NetParameter, NetState
from protonet.ir.rules import layer_is_in, net_state
from protonet.ir.weights import read_weights, write_weights
from protonet.layers.base import shape_text
from protonet.prototxt import format_text
from protonet.prototxt.diagnostics import Diagnostic, Error, nearest
from protonet.prototxt.source import Path, SourceMap

__all__ = ["PhaseView", "TrainedNet", "read_trained_net"]


@dataclass
class PhaseView:
    """A net as one phase sees it; `indices[i]` is the place of the graph's node i in the net."""

    phase: int
    graph: Graph
    indices: list[int]


@dataclass
class TrainedNet:
    """A net in the current format, its blobs by layer name, and where its text stands.

    A layer of which no blobs are known is not in `blobs`. `changes` tells in words what was
    done to it. Operations leave what they are given as it is and return another one.
    """

    net: NetParameter
    source: SourceMap = field(default_factory=SourceMap)
    blobs: dict[str, list[Array]] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)

    def copy(self) -> TrainedNet:
        """Returns one whose net, table of blobs and changes can be changed; arrays are shared."""
        net = NetParameter()
        net.CopyFrom(self.net)
        blobs = {name: list(arrays) for name, arrays in self.blobs.items()}
        return TrainedNet(net, self.source, blobs, list(self.changes))

    def without(self, dropped: set[int]) -> TrainedNet:
        """Returns the net without the layers of these indices, nor their blobs."""
        kept = [i for i in range(len(self.net.layer)) if i not in dropped]
        found = self.copy()
        layers = [found.net.layer[i] for i in kept]
        bare = NetParameter()
        bare.CopyFrom(found.net)
        del bare.layer[:]
        bare.layer.extend(layers)
        moves: dict[Path, Path] = {("layer", new): ("layer", old) for new, old in enumerate(kept)}
        names = {layer.name for layer in layers}
        blobs = {name: arrays for name, arrays in found.blobs.items() if name in names}
        return TrainedNet(bare, self.source.remapped(moves), blobs, found.changes)

    def state(self, phase: int = TEST) -> NetState:
        """Returns what the include and exclude rules are judged by: the net's own level and stages,
        in this phase."""
        return net_state(self.net, phase, self.net.state.level)

    def view(self, phase: int = TEST) -> PhaseView:
        """Returns the net as this phase sees it. Raises Error if it is wrong."""
        found = self._view(phase)
        if found.graph.failed:
            raise Error(*found.graph.diagnostics)
        return found

    def views(self) -> list[PhaseView]:
        """Returns the phases that the net is meant for, TEST first. Raises Error if it is wrong."""
        states = [(name, self.state(phase)) for name, phase in (("TEST", TEST), ("TRAIN", TRAIN))]
        meant, _ = meant_phases(self.net, states, self.source)
        return [self.view(state.phase) for _, state in meant]

    def _view(self, phase: int) -> PhaseView:
        state = self.state(phase)
        graph = build_graph(self.net, self.source, state, lenient=True, splits=False)
        indices = [i for i, layer in enumerate(self.net.layer) if layer_is_in(layer, state)]
        return PhaseView(phase, graph, indices)

    def layer(self, name: str) -> LayerParameter:
        """Returns the first layer of that name. Raises Error if there is none."""
        return self.net.layer[self.index(name)]

    def index(self, name: str) -> int:
        """Returns the index of the first layer of that name. Raises Error if there is none."""
        for index, layer in enumerate(self.net.layer):
            if layer.name == name:
                return index
        near = nearest(name, [layer.name for layer in self.net.layer])
        raise Error(
            Diagnostic(
                "E501", f'the net has no layer "{name}"', (self.source.start,),
                help=f'did you mean "{near}"?' if near else "",
            )
        )  # fmt: skip

    def refusal(
        self, index: int, message: str, *path: str | int, help: str = "", code: str = "E501"
    ) -> Error:
        """Returns an error at this layer's place in the text."""
        layer = self.net.layer[index]
        place = (self.source.span(("layer", index, *path)),) if self.source.text else ()
        note = f'layer "{layer.name}" ({layer.type})'
        return Error(Diagnostic(code, message, place, notes=(note,), help=help))

    def document(self) -> Document[NetParameter]:
        """Returns what Net is made from."""
        return Document(self.net, self.source)

    def write(self, net_path: FilePath | None, weights_path: FilePath | None = None) -> None:
        """Writes the prototxt and the weights: both whole, or nothing.

        Raises Error if the net could not read these weights, or a file cannot be written.
        """
        if weights_path is not None:
            self._judge_weights()
        with contextlib.ExitStack() as files:
            if net_path is not None:  # takes its name when the weights have theirs
                stream = files.enter_context(atomic_write(net_path))
                stream.write(format_text(self.net).encode())
            if weights_path is not None:
                contiguous = {
                    n: [np.ascontiguousarray(a) for a in b] for n, b in self.blobs.items()
                }
                # A layer without blobs would say that it has none, and then not fit the net.
                stored = NetParameter(name=self.net.name)
                stored.layer.extend(layer for layer in self.net.layer if contiguous.get(layer.name))
                write_weights(weights_path, stored, contiguous)

    def _judge_weights(self) -> None:
        """Raises Error at a layer that wants other weights than it has."""
        for phase in (TEST, TRAIN):
            view = self._view(phase)
            for node, index in zip(view.graph.nodes, view.indices, strict=True):
                blobs = self.blobs.get(node.param.name, [])
                for number, (blob, wanted) in enumerate(
                    zip(blobs, node.parameters or [], strict=False)
                ):
                    if blob.size != math.prod(wanted.shape):
                        raise self.refusal(
                            index,
                            f"its blob {number} would have to be {shape_text(wanted.shape)}, but "
                            f"is {shape_text(blob.shape)}",
                            help="without --out-weights the net alone is written",
                        )

    def with_weights(self, weights: Weights) -> TrainedNet:
        """Returns the net with a file's blobs, in the shapes that it has for them.

        Raises Error with all that do not fit. Blobs of layers that it does not have are left
        out, and so are those of shapes that cannot be known.
        """
        found = self.copy()
        for layer in weights.layers:
            whole = [blob for blob in layer.blobs if blob is not None]
            if whole and len(whole) == len(layer.blobs):
                found.blobs.setdefault(layer.name, whole)
        here = {layer.name for layer in self.net.layer}
        found.blobs = {name: blobs for name, blobs in found.blobs.items() if name in here}
        for view in self.views():
            fitting = fit_weights(view.graph, weights)
            if fitting.failed:
                raise Error(*fitting.diagnostics)
            placed = {(node, number): array for node, number, array in fitting.places}
            for learnable in view.graph.learnable:
                owned = placed.get(learnable.uses[0])
                for use in learnable.uses[1:]:
                    if owned is not None:
                        placed.setdefault(use, owned)
            for index, node in enumerate(view.graph.nodes):
                wanted = node.parameters or []
                arrays = [placed.get((index, number)) for number in range(len(wanted))]
                if wanted and all(array is not None for array in arrays):
                    found.blobs[node.param.name] = [
                        cast(Array, array).reshape(parameter.shape)
                        for array, parameter in zip(arrays, wanted, strict=True)
                    ]
        return found


def read_trained_net(
    net: FilePath, weights: FilePath | None = None, stages: Sequence[str] = ()
) -> TrainedNet:
    """Reads a net and, if they are given, its weights. Raises Error if they do not fit.

    `stages` become part of the net's state, by which its rules are judged.
    """
    document = read_net_document(os.fspath(net))
    if stages:
        document.message.state.stage.extend(stages)
    found = TrainedNet(document.message, document.source)
    return found.with_weights(read_weights(weights)) if weights is not None else found
