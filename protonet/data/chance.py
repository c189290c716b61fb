"""Random numbers that are functions of (key, position, draw): no stream, hence no order.

Whoever makes a record, whenever, draws the same; skipping records costs nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["permutation", "uniform", "uniform_below"]

_STEP = np.uint64(0x9E3779B97F4A7C15)


def _mixed(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finishing step of SplitMix64, a bijection. (Steele, Lea and Flood, 2014)"""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniform(key: int, positions: npt.NDArray[np.int64], draw: int) -> npt.NDArray[np.float64]:
    """Returns a number in [0, 1) for each position; `draw` tells a record's draws apart."""
    seed = _mixed(np.array([key, draw], np.uint64) * _STEP + _STEP)
    bits = _mixed(_mixed(positions.astype(np.uint64) * _STEP + seed[0]) ^ seed[1])
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def uniform_below(
    limits: npt.NDArray[np.int64], key: int, positions: npt.NDArray[np.int64], draw: int
) -> npt.NDArray[np.int64]:
    """Returns an integer from 0 to limits − 1 for each position."""
    return (uniform(key, positions, draw) * limits).astype(np.int64)


def permutation(count: int, key: int, *parts: int) -> npt.NDArray[np.int64]:
    """Returns a random order of 0 … count−1, one for each (key, parts)."""
    return np.random.default_rng([key, *parts]).permutation(count)
