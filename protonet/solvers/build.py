"""Making the nets of a solver: one to train, and those to test, which share its parameters."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from protonet.ir.document import Document, read_solver_document
from protonet.ir.protonet_pb2 import NetParameter, SolverParameter
from protonet.ir.upgrade import upgrade_solver
from protonet.net import Net
from protonet.prototxt.source import SourceMap

from .nets import NetSource, load_net, merged_state, test_sources, train_sources

__all__ = ["NetMaker", "solver_document"]


def solver_document(
    solver: str | os.PathLike[str] | SolverParameter | Document[SolverParameter],
) -> Document[SolverParameter]:
    """Returns a solver's message with its places, from a file or a message that has none."""
    if isinstance(solver, Document):
        return solver
    if isinstance(solver, SolverParameter):
        return Document(*upgrade_solver(solver, SourceMap("")))
    return read_solver_document(solver)


class NetMaker:
    """Makes nets for one solver; a file that several of its nets come from is read once.

    `seed` fixes fillers, dropout, shuffling and augmentation of all nets, each of which has
    streams of its own; `level` and `stages` are added to the training net's state.
    """

    def __init__(
        self,
        document: Document[SolverParameter],
        *,
        level: int,
        stages: Sequence[str],
        dtype: type,
        seed: int | None,
    ) -> None:
        self.document, self.dtype, self.seed = document, dtype, seed
        self.level, self.stages = level, tuple(stages)
        self._read: dict[str, Document[NetParameter]] = {}

    def train_net(self, weights: Sequence[str | os.PathLike[str]]) -> Net:
        """Makes the net to train, with these files' weights in it, later ones over earlier."""
        net = self._make(train_sources(self.document.message)[0], self.seed)
        for file in weights:
            net.copy_from(file)
        return net

    def test_nets(self, train_net: Net, weights: Sequence[str | os.PathLike[str]]) -> list[Net]:
        """Makes the test nets; what they have in common with the training net is its memory."""
        nets = []
        for number, source in enumerate(test_sources(self.document.message)):
            net = self._make(source, self._test_seed(number))
            for file in weights:
                net.copy_from(file)
            net.share_with(train_net)
            nets.append(net)
        return nets

    def _make(self, source: NetSource, seed: int | None) -> Net:
        document = self._document(source)
        param = self.document.message
        state = merged_state(param, document.message, source, self.level, self.stages)
        return Net(document, state=state, dtype=self.dtype, seed=seed)

    def _document(self, source: NetSource) -> Document[NetParameter]:
        if source.file is None:
            return load_net(self.document, source)
        if source.file not in self._read:
            self._read[source.file] = load_net(self.document, source)
        return self._read[source.file]

    def _test_seed(self, number: int) -> int | None:
        """Gives a test net streams of its own: the training net's would repeat its numbers."""
        if self.seed is None:
            return None
        return int(np.random.SeedSequence([self.seed, number + 1]).generate_state(1)[0])
