"""The random numbers of a layer's kernels: a key and the number of the pass."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .base import Layer, LayerError

__all__ = ["RandomLayer"]


class RandomLayer(Layer):
    """A layer whose kernels draw by counter: what they draw depends on `counters` and on the
    element's index, not on the number of threads. Each pass raises the second counter.
    """

    draws: bool = False  # set by the layer's setup
    _counters: np.ndarray | None = None

    @property
    def counters(self) -> np.ndarray:
        """Two uint64: the key, drawn from the layer's stream, and how many passes there were."""
        if self._counters is None:
            self._counters = np.array([self.random.integers(2**63), 0], np.uint64)
        return self._counters

    def reseed(self, random: np.random.Generator) -> None:
        super().reseed(random)
        if self._counters is not None:  # in place: recorded kernels point there
            self._counters[:] = random.integers(2**63), 0

    def state(self) -> dict[str, int | bytes]:
        if not self.draws:
            return {}
        return {"random_key": int(self.counters[0]), "random_passes": int(self.counters[1])}

    def restore(self, state: Mapping[str, int | bytes]) -> None:
        if not self.draws:
            return
        try:
            found = [int(state[name]) for name in ("random_key", "random_passes")]
            self.counters[:] = found
        except (KeyError, ValueError, OverflowError) as error:
            raise LayerError(f"the saved random numbers are not whole: {error}") from None
