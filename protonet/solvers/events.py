"""What a solver tells while it runs, and to whom.

    solver.on_iteration(lambda event: print(event.iteration, event.loss))

Each kind of event is a small dataclass; functions that listen to a kind are called with it, in
the order they came, on the solver's own thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from protonet.prototxt.diagnostics import Error

from .outputs import Output

__all__ = [
    "Displayed",
    "Finished",
    "GradientsReady",
    "IterationDone",
    "IterationStarted",
    "Listeners",
    "NetTestStarted",
    "NetTested",
    "Remark",
    "SnapshotFailed",
    "SnapshotTaken",
    "Started",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Started:
    """`solve` begins, or goes on from the file `resumed`."""

    net_name: str
    lr_policy: str
    resumed: str = ""


@dataclass(frozen=True, slots=True)
class IterationStarted:
    """An iteration begins; the gradients are zero."""

    iteration: int


@dataclass(frozen=True, slots=True)
class GradientsReady:
    """All passes of an iteration are done; the parameters' `diff` holds their gradient."""

    iteration: int


@dataclass(frozen=True, slots=True)
class IterationDone:
    """Parameters are updated. `loss` is the mean over iter_size, `smoothed_loss` over the last
    average_loss iterations, `lr` the rate that was used."""

    iteration: int
    loss: float
    smoothed_loss: float
    lr: float


@dataclass(frozen=True, slots=True)
class Displayed:
    """Every `display` iterations, after the update: the values of the training net's outputs."""

    iteration: int
    smoothed_loss: float
    lr: float
    outputs: list[Output]
    interval: int  # the solver's `display`
    iterations: int  # since the last display
    seconds: float  # since the last display
    images_per_second: float
    is_last: bool = False  # the pass after the last update: loss only


@dataclass(frozen=True, slots=True)
class NetTestStarted:
    """A test net is about to run before iteration `iteration`."""

    iteration: int
    net: int
    batches: int


@dataclass(frozen=True, slots=True)
class NetTested:
    """The mean of each output of a test net over its batches; `loss` with test_compute_loss."""

    iteration: int
    net: int
    outputs: list[Output]
    batches: int
    seconds: float
    loss: float | None = None
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class SnapshotTaken:
    """Both files of a snapshot are on the disk."""

    iteration: int
    model: str
    state: str


@dataclass(frozen=True, slots=True)
class SnapshotFailed:
    """A snapshot could not be written (a full disk); training goes on, older ones are whole."""

    iteration: int
    error: Error


@dataclass(frozen=True, slots=True)
class Remark:
    """A line for the log."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """`solve` ends; `stopped` if it was asked to before max_iter."""

    iteration: int
    stopped: bool


E = TypeVar("E")
Listener = Callable[[Any], object]


class Listeners:
    """The functions that listen, by kind of event."""

    def __init__(self) -> None:
        self._by_kind: dict[type, list[Listener]] = {}
        self._for_all: list[Listener] = []

    def add(self, kind: type[E], listener: Callable[[E], object]) -> None:
        """Calls `listener` with each event of that kind from now on."""
        self._by_kind.setdefault(kind, []).append(listener)

    def add_for_all(self, listener: Callable[[object], object]) -> None:
        """Calls `listener` with each event of any kind from now on."""
        self._for_all.append(listener)

    def has(self, kind: type) -> bool:
        """Says whether anyone listens to this kind in particular."""
        return kind in self._by_kind

    def tell(self, event: object) -> None:
        """Calls all who listen to this event."""
        for listener in self._by_kind.get(type(event), ()):
            listener(event)
        for listener in self._for_all:
            listener(event)
