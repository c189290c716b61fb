"""The random seed that nets and solvers made from now on start with."""

from __future__ import annotations

import numpy as np

__all__ = ["next_seed", "set_random_seed"]

_seeds: np.random.SeedSequence | None = None


def set_random_seed(seed: int) -> None:
    """Fixes fillers, dropout, shuffling and augmentation of all nets and solvers made afterwards.

    A solver whose text has a random_seed keeps to that one.
    """
    global _seeds
    _seeds = np.random.SeedSequence(int(seed) % 2**64)


def next_seed() -> int | None:
    """Returns the seed of the next net; None if set_random_seed was not called."""
    if _seeds is None:
        return None
    return int(_seeds.spawn(1)[0].generate_state(1, np.uint64)[0] >> np.uint64(1))
