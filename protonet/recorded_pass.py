"""RecordedPass: running a row of layers in one direction, from Python once, then from C."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from protonet import kernels

__all__ = ["RecordedPass"]


class RecordedPass:
    """The recorded kernels of each layer in one direction, joined into stretches.

    `step(index)` runs one layer from Python. What it calls is recorded, and replayed on later
    passes, unless the layer is `dynamic`: then it is called on every pass. `forget(index)` has a
    layer recorded afresh. `direction` is 1 forward and −1 backward. Functions in `before` and
    `after` are called with the index of each layer around its run.
    """

    def __init__(
        self, dynamic: Sequence[bool], direction: int, step: Callable[[int], None]
    ) -> None:
        self.dynamic, self.direction, self.step = dynamic, direction, step
        self.tapes: dict[int, kernels.Tape] = {}
        self.stretches: dict[tuple[int, int], list[int | kernels.Tape]] = {}
        self.before: list[Callable[[int], object]] = []
        self.after: list[Callable[[int], object]] = []

    @property
    def is_watched(self) -> bool:
        """Says whether something is called around each layer."""
        return bool(self.before or self.after)

    def forget(self, index: int) -> None:
        self.tapes.pop(index, None)
        self.stretches = {}

    def run(self, first: int, last: int) -> None:
        """Runs layers first … last (both included, in the pass's direction)."""
        if self.before or self.after:
            self._one_by_one(first, last)
            return
        stretch = self.stretches.get((first, last))
        if stretch is None:
            self._one_by_one(first, last)
            self.stretches[first, last] = self._join(first, last)
            return
        for item in stretch:
            if not isinstance(item, int):
                item.replay()
                continue
            self.step(item)
            if not self.stretches:  # it changed its tops' shapes: what follows is forgotten
                self._one_by_one(item + self.direction, last)
                return

    def run_timed(self, first: int, last: int) -> dict[int, float]:
        """As `run`, layer by layer; returns the seconds that each took, by index."""
        seconds = {}
        for index in range(first, last + self.direction, self.direction):
            start = time.perf_counter()
            self._one_by_one(index, index)
            seconds[index] = time.perf_counter() - start
        return seconds

    def _one_by_one(self, first: int, last: int) -> None:
        for index in range(first, last + self.direction, self.direction):
            for call in self.before:
                call(index)
            if self.dynamic[index]:
                self.step(index)
            elif index in self.tapes:
                self.tapes[index].replay()
            else:
                with kernels.Tape() as tape:
                    self.step(index)
                self.tapes[index] = tape
            for call in self.after:
                call(index)

    def _join(self, first: int, last: int) -> list[int | kernels.Tape]:
        stretch: list[int | kernels.Tape] = []
        joined: kernels.Tape | None = None
        for index in range(first, last + self.direction, self.direction):
            if self.dynamic[index]:
                stretch.append(index)
                joined = None
                continue
            if joined is None:
                joined = kernels.Tape()
                stretch.append(joined)
            joined.extend(self.tapes[index])
        return stretch
