"""What products do besides as they store: activations, gaps between images, packed weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

ACTIVATIONS: dict[str, dict[str, Any]] = {
    "none": {"activate": 0, "slope": 0.0, "low": 0.0, "high": 0.0},
    "relu": {"activate": 1, "slope": 0.0, "low": -math.inf, "high": math.inf},
    "leaky": {"activate": 1, "slope": 0.1, "low": -math.inf, "high": math.inf},
    "relu6": {"activate": 1, "slope": 0.0, "low": -math.inf, "high": 0.6},
    "clip": {"activate": 1, "slope": 1.0, "low": -0.4, "high": 0.5},
    "prelu": {"activate": 1, "slope": 9.0, "low": -math.inf, "high": math.inf, "slopes": True},
}


def finished(y: np.ndarray, rule: dict[str, Any], slopes: np.ndarray) -> np.ndarray:
    if not rule["activate"]:
        return y
    slope = slopes.reshape(1, -1, *[1] * (y.ndim - 2)) if rule.get("slopes") else rule["slope"]
    return np.clip(np.where(y < 0, slope * y, y), rule["low"], rule["high"])


def with_gaps(array: np.ndarray, gap: int) -> np.ndarray:
    """Returns images one after another, each followed by `gap` elements that are not its own."""
    rows = np.full((array.shape[0], array[0].size + gap), 77, array.dtype)
    rows[:, : array[0].size] = array.reshape(array.shape[0], -1)
    return rows


def packed_by(pack: Any, shape: dict[str, Any], dtype: type) -> np.ndarray | None:
    size = np.zeros(2, np.int64)
    pack(shape=shape, size=size)
    if not size[0]:
        return None
    packed = np.zeros(int(size[0]) // np.dtype(dtype).itemsize, dtype)
    pack(shape=shape, size=size, packed=packed)
    return packed
