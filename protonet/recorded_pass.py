"""RecordedPass: running a row of layers in one direction, from Python once, then from C."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from protonet import kernels
from protonet.chains import Chain

__all__ = ["RecordedPass"]


class RecordedPass:
    """The recorded kernels of each layer in one direction, joined into stretches.

    `step(index)` runs one layer from Python. What it calls is recorded, and replayed on later
    passes, unless the layer is `dynamic`: then it is called on every pass. `forget(index)` has a
    layer recorded afresh. `direction` is 1 forward and −1 backward. Functions in `before` and
    `after` are called with the index of each layer around its run.

    Layers of a chain run as one, by `step_chain`, unless the pass begins or ends inside it or
    something is called around each layer; backward, if they also did so in the last forward pass.
    """

    def __init__(
        self,
        dynamic: Sequence[bool],
        direction: int,
        step: Callable[[int], None],
        chains: Sequence[Chain] = (),
        step_chain: Callable[[Chain], None] = lambda _: None,
    ) -> None:
        self.dynamic, self.direction, self.step = dynamic, direction, step
        self.chains, self.step_chain = chains, step_chain
        self.tapes: dict[int, kernels.Tape] = {}
        self.chain_tapes: dict[Chain, kernels.Tape] = {}
        self.stretches: dict[tuple[int, int, tuple[bool, ...]], list[int | kernels.Tape]] = {}
        self.before: list[Callable[[int], object]] = []
        self.after: list[Callable[[int], object]] = []

    @property
    def is_watched(self) -> bool:
        """Says whether something is called around each layer."""
        return bool(self.before or self.after)

    def forget(self, index: int) -> None:
        self.tapes.pop(index, None)
        for chain in self.chains:
            if index in chain.forward_layers:
                self.chain_tapes.pop(chain, None)
        self.stretches = {}

    def run(self, first: int, last: int) -> None:
        """Runs layers first … last (both included, in the pass's direction)."""
        self._join_chains(first, last, not self.is_watched)
        if self.is_watched:
            self._one_by_one(first, last)
            return
        key = (first, last, tuple(chain.is_joined for chain in self.chains))
        stretch = self.stretches.get(key)
        if stretch is None:
            self._one_by_one(first, last)
            self.stretches[key] = self._join(first, last)
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
        self._join_chains(first, last, False)
        seconds = {}
        for index in range(first, last + self.direction, self.direction):
            start = time.perf_counter()
            self._one_by_one(index, index)
            seconds[index] = time.perf_counter() - start
        return seconds

    def _layers_of(self, chain: Chain) -> range:
        return chain.forward_layers if self.direction > 0 else chain.backward_layers

    def _join_chains(self, first: int, last: int, may_join: bool) -> None:
        """Decides which chains the pass over these layers runs as one."""
        low, high = min(first, last), max(first, last)
        for chain in self.chains:
            layers = self._layers_of(chain)
            if not layers or layers[-1] < low or layers[0] > high:
                continue
            whole = may_join and low <= layers[0] and layers[-1] <= high
            if chain.is_joined and not whole:
                chain.part()
            chain.is_joined = whole and (chain.is_joined or self.direction > 0)

    def _units(self, first: int, last: int) -> Iterator[int | Chain]:
        """Gives the layers first … last in order, a chain that is joined in their place."""
        chains = {}
        for chain in self.chains:
            layers = self._layers_of(chain)
            if chain.is_joined and layers:
                chains[layers[0] if self.direction > 0 else layers[-1]] = chain
        index = first
        while (last - index) * self.direction >= 0:
            found = chains.get(index)
            if found is None:
                yield index
                index += self.direction
            else:
                yield found
                index += self.direction * len(self._layers_of(found))

    def _one_by_one(self, first: int, last: int) -> None:
        for unit in self._units(first, last):
            if not isinstance(unit, int):
                if unit in self.chain_tapes:
                    self.chain_tapes[unit].replay()
                    continue
                with kernels.Tape() as tape:
                    self.step_chain(unit)
                self.chain_tapes[unit] = tape
                continue
            for call in self.before:
                call(unit)
            if self.dynamic[unit]:
                self.step(unit)
            elif unit in self.tapes:
                self.tapes[unit].replay()
            else:
                with kernels.Tape() as tape:
                    self.step(unit)
                self.tapes[unit] = tape
            for call in self.after:
                call(unit)

    def _join(self, first: int, last: int) -> list[int | kernels.Tape]:
        stretch: list[int | kernels.Tape] = []
        joined: kernels.Tape | None = None
        for unit in self._units(first, last):
            if isinstance(unit, int) and self.dynamic[unit]:
                stretch.append(unit)
                joined = None
                continue
            if joined is None:
                joined = kernels.Tape()
                stretch.append(joined)
            joined.extend(self.tapes[unit] if isinstance(unit, int) else self.chain_tapes[unit])
        return stretch
