"""Blob: the array that flows between layers, with its gradient beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index

import numpy as np

from protonet.prototxt.diagnostics import Error

__all__ = ["Blob", "aligned_zeros", "all_moves"]

_ALIGNMENT_BYTES = 64
MOST_AXES = 32
_FORMER_AXES = 4  # num, channels, height, width


def aligned_zeros(count: int, dtype: np.dtype) -> np.ndarray:
    """Returns zeros that start on a cache line; untouched pages cost no memory."""
    spare = _ALIGNMENT_BYTES // dtype.itemsize
    raw = np.zeros(count + spare, dtype)
    skip = -raw.ctypes.data % _ALIGNMENT_BYTES // dtype.itemsize
    return raw[skip : skip + count]


class _Memory:
    """One of a blob's two arrays: as much as it ever needed, seen in the present shape."""

    all_moves = 0

    def __init__(self) -> None:
        self.flat: np.ndarray | None = None
        self.view: np.ndarray | None = None
        self.moves = 0  # how often larger memory took the place of this

    def seen(self, shape: tuple[int, ...], count: int, dtype: np.dtype) -> np.ndarray:
        if self.flat is None or self.flat.size < count:
            if self.flat is not None:
                self.moves += 1
                _Memory.all_moves += 1
            self.flat, self.view = aligned_zeros(count, dtype), None
        if self.view is None or self.view.shape != shape:
            self.view = self.flat[:count].reshape(shape)
        return self.view

    def share(self, array: np.ndarray) -> None:
        self.flat, self.view = array.reshape(-1), None


def all_moves() -> int:
    """Returns how often any blob outgrew its memory."""
    return _Memory.all_moves


class Blob:
    """Values `data` and gradient `diff`: C-contiguous arrays of one shape and float type.

    N×C×H×W by convention, any number of axes from 0 to 32. Both arrays are made when first
    asked for, are zero until written, and are live views of the memory that layers work on;
    a view stays valid when the Net is gone. Reshaping to something that fits keeps the memory.
    """

    def __init__(self, shape: Sequence[int] = (), dtype: type | np.dtype = np.float32) -> None:
        self.dtype = np.dtype(dtype)
        self._shape: tuple[int, ...] = ()
        self.reshape(*shape)
        self._data, self._diff = _Memory(), _Memory()

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def count(self) -> int:
        """The number of elements, 1 for a scalar."""
        return math.prod(self._shape)

    @property
    def data(self) -> np.ndarray:
        return self._data.seen(self._shape, self.count, self.dtype)

    @property
    def diff(self) -> np.ndarray:
        return self._diff.seen(self._shape, self.count, self.dtype)

    def reshape(self, *shape: int) -> None:
        """Changes the shape; values are kept in memory order where the count allows.

        TypeError if a size is not a whole number, Error if it is negative or they are too many.
        """
        sizes = tuple(map(index, shape))
        if min(sizes, default=0) < 0:
            raise Error(f"a blob cannot be {'×'.join(map(str, sizes))}: sizes are 0 or more")
        if len(sizes) > MOST_AXES:
            raise Error(f"a blob has {MOST_AXES} axes at most, not {len(sizes)}")
        self._shape = sizes

    @property
    def moves(self) -> int:
        """How often `data` and `diff` outgrew their memory: views from before are of the past."""
        return self._data.moves + self._diff.moves

    def reshape_like(self, other: Blob) -> None:
        self.reshape(*other.shape)

    def place_data(self, array: np.ndarray) -> None:
        """Makes `data` this memory, seen in the blob's shape; it must hold `count` elements."""
        self._data.share(array)

    def share_data(self, other: Blob) -> None:
        """Makes `data` the other blob's memory, seen in this blob's shape; counts must agree."""
        self._data.share(other.data)

    def share_diff(self, other: Blob) -> None:
        """Makes `diff` the other blob's memory, seen in this blob's shape; counts must agree."""
        self._diff.share(other.diff)

    def _legacy_axis(self, axis: int) -> int:
        if len(self._shape) > _FORMER_AXES:
            raise Error(
                "num, channels, height and width are for blobs of up to 4 axes; "
                f"this one is {'×'.join(map(str, self._shape))}: use shape"
            )
        return self._shape[axis] if axis < len(self._shape) else 1

    @property
    def num(self) -> int:
        return self._legacy_axis(0)

    @property
    def channels(self) -> int:
        return self._legacy_axis(1)

    @property
    def height(self) -> int:
        return self._legacy_axis(2)

    @property
    def width(self) -> int:
        return self._legacy_axis(3)

    def __repr__(self) -> str:
        return f"Blob({'×'.join(map(str, self._shape)) or 'scalar'}, {self.dtype})"
