"""The random seed: of nets and solvers to come, and of the passes of those that are there."""

from __future__ import annotations

from weakref import WeakSet

import numpy as np

from protonet.net import Net

__all__ = ["next_seed", "note_net", "set_random_seed"]

_seeds: np.random.SeedSequence | None = None
_nets: WeakSet[Net] = WeakSet()


def set_random_seed(seed: int) -> None:
    """Fixes fillers, dropout, shuffling and augmentation of all nets and solvers made afterwards,
    and what the nets that are there draw in their passes: dropout and DummyData.

    A solver whose text has a random_seed keeps to that one, and sets it here, too.
    """
    global _seeds
    _seeds = np.random.SeedSequence(int(seed) % 2**64)
    for net in _nets:
        net.reseed(int(_seeds.generate_state(1, np.uint64)[0] >> np.uint64(1)))


def next_seed() -> int | None:
    """Returns the seed of the next net; None if there is none."""
    if _seeds is None:
        return None
    return int(_seeds.spawn(1)[0].generate_state(1, np.uint64)[0] >> np.uint64(1))


def note_net(net: Net) -> None:
    """Lets set_random_seed reach this net as long as it lives."""
    _nets.add(net)
