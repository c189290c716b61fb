"""Batches as lists of arrays, one per top, whose memory is used again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Batch", "array_in"]

Array = npt.NDArray[Any]
Batch = list[Array]
"""The arrays of a batch, in the order of the layer's tops."""


def array_in(spare: Batch | None, index: int, shape: tuple[int, ...], dtype: np.dtype) -> Array:
    """Returns an array of this shape, in the spare batch's memory if that is enough."""
    count = math.prod(shape)
    if spare is not None and spare[index].size >= count and spare[index].dtype == dtype:
        return spare[index].reshape(-1)[:count].reshape(shape)
    return np.empty(shape, dtype)
