"""The nets of a solver: where each comes from, and the state it is built for.

Training: one of train_net_param, train_net, net_param, net. Testing: each test_net_param, each
test_net, then net_param or net again for the entries of test_iter that are left. A net's
state is its phase, then its own `state`, then train_state or its test_state, each
overriding the one before. (Caffe 1.0)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protonet.ir.document import Document, read_net_document
from protonet.ir.protonet_pb2 import TEST, TRAIN, NetParameter, NetState, SolverParameter
from protonet.prototxt.source import Path

__all__ = ["NetSource", "load_net", "merged_state", "test_sources", "train_sources"]


@dataclass(frozen=True)
class NetSource:
    """A field of the solver that gives a net: a file's name, or the net itself."""

    path: Path
    file: str | None = None  # None: the net is written inside the solver
    number: int = 0  # which train_state or test_state belongs to it
    phase: int = TRAIN


def train_sources(param: SolverParameter) -> list[NetSource]:
    """Returns every field that gives a training net; there has to be exactly one."""
    found = []
    if param.HasField("train_net_param"):
        found.append(NetSource(("train_net_param",)))
    if param.HasField("train_net"):
        found.append(NetSource(("train_net",), param.train_net))
    return found + _generic_sources(param, 0, TRAIN)


def test_sources(param: SolverParameter) -> list[NetSource]:
    """Returns the test nets in Caffe's order."""
    found = [
        NetSource(("test_net_param", index), None, index, TEST)
        for index in range(len(param.test_net_param))
    ]
    for index, file in enumerate(param.test_net):
        found.append(NetSource(("test_net", index), file, len(found), TEST))
    while len(found) < len(param.test_iter):
        generic = _generic_sources(param, len(found), TEST)
        if not generic:
            break
        found.append(generic[0])
    return found


def _generic_sources(param: SolverParameter, number: int, phase: int) -> list[NetSource]:
    found = []
    if param.HasField("net_param"):
        found.append(NetSource(("net_param",), None, number, phase))
    if param.HasField("net"):
        found.append(NetSource(("net",), param.net, number, phase))
    return found


def load_net(document: Document[SolverParameter], source: NetSource) -> Document[NetParameter]:
    """Reads the net of a source, upgraded; Error if it cannot be read."""
    if source.file is not None:
        return read_net_document(source.file)
    inner: Any = document.message
    for step in source.path:
        inner = getattr(inner, step) if isinstance(step, str) else inner[step]
    net = NetParameter()
    net.CopyFrom(inner)
    return Document(net, document.source.remapped({(): source.path}))


def merged_state(
    param: SolverParameter,
    net: NetParameter,
    source: NetSource,
    level: int = 0,
    stages: tuple[str, ...] = (),
) -> NetState:
    """Returns the state a net is built for; `level` and `stages` reach the training net alone."""
    state = NetState(phase=TRAIN if source.phase == TRAIN else TEST)
    state.MergeFrom(net.state)
    if source.phase == TRAIN:
        state.MergeFrom(param.train_state)
        if level:
            state.level = level
        state.stage.extend(stages)
    elif source.number < len(param.test_state):
        state.MergeFrom(param.test_state[source.number])
    return state
