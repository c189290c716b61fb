"""Batches of IDX files: all images and labels in memory, as they are small."""

from __future__ import annotations

from functools import partial

import numpy as np

from .arrays import Array, Batch, array_in
from .chance import permutation
from .convert import read_idx_pair
from .errors import DataError
from .pictures import Pictures
from .transformer import Transformer

__all__ = ["IdxBatches", "read_idx_images"]


def read_idx_images(images: str, labels: str) -> tuple[Array, Array]:
    """Returns N×1×H×W bytes and N labels. Raises DataError where the files do not fit."""
    pixels, numbers = read_idx_pair(images, labels)
    return pixels[:, None], numbers


class IdxBatches:
    """Makes batches of `size` images from position `start` on; with `shuffle`, each epoch has its
    own order."""

    def __init__(
        self,
        images: Array,
        labels: Array,
        path: str,
        transformer: Transformer,
        size: int,
        shuffle: bool,
        dtype: np.dtype,
        start: int,
        key: int,
    ) -> None:
        self._images, self._labels, self._path = images, labels, path
        self._transformer, self._size, self._dtype = transformer, size, dtype
        self._shuffle, self._start, self._key = shuffle, start, key
        self._epoch, self._order = -1, np.arange(len(images))

    def make(self, number: int, spare: Batch | None) -> Batch:
        first = self._start + number * self._size
        positions = np.arange(first, first + self._size)
        chosen = [self._image_at(position) for position in positions.tolist()]
        pictures = Pictures.of([self._images[index] for index in chosen])
        shape = self._transformer.batch_shape(pictures, partial(self._tell, chosen))
        batch = [
            array_in(spare, 0, (self._size, *shape), self._dtype),
            array_in(spare, 1, (self._size,), self._dtype),
        ]
        self._transformer.run(pictures, self._key, positions, batch[0])
        batch[1][...] = self._labels[chosen]
        return batch

    def _tell(self, chosen: list[int], index: int, error: DataError) -> DataError:
        return error.about(f"{self._path}: image {chosen[index]}")

    def _image_at(self, position: int) -> int:
        epoch, offset = divmod(position, len(self._images))
        if self._shuffle and epoch != self._epoch:
            self._epoch = epoch
            self._order = permutation(len(self._images), self._key, epoch)
        return int(self._order[offset])

    def close(self) -> None:
        """Nothing is open."""
