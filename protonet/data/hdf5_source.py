"""Reading HDF5 files: the rows of their data sets by position, file after file.

A list file names the files, one a line; data set and top have the same name, rows are axis 0.
With shuffling, each epoch has its own order of files, and of rows within each file.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from protonet.prototxt import read_text
from protonet.prototxt.diagnostics import nearest

from .arrays import Array, Batch, array_in
from .chance import permutation
from .errors import DataError, existing_elsewhere

__all__ = ["Hdf5Batches", "first_row_shapes", "read_list"]

_MOST_BYTES_IN_MEMORY = 1 << 30  # of a shuffled file; of a larger one rows are read one by one


def read_list(path: str) -> list[str]:
    """Returns the lines of a list file that are not empty. Raises DataError E450, E452."""
    if not os.path.exists(path):
        raise DataError(
            f"the list file {path or '(no name)'} is not there",
            code="E450",
            help=existing_elsewhere(path) or "it names one file a line",
            missing=True,
        )
    lines = [line.strip() for line in read_text(path).splitlines()]
    names = [line for line in lines if line]
    if not names:
        raise DataError(f"{path}: the list is empty", code="E452")
    return names


class Hdf5File:
    """An open HDF5 file with its data sets of these names, which have the same number of rows."""

    def __init__(self, path: str, names: list[str]) -> None:
        import h5py  # takes a tenth of a second

        self.path = path
        if not os.path.exists(path):
            raise DataError(
                f"the file {path} is not there",
                code="E450",
                help=existing_elsewhere(path),
                missing=True,
            )
        try:
            self._file = h5py.File(path, "r", locking=False)
        except OSError as error:
            raise DataError(f"{path}: not a readable HDF5 file: {error}") from None
        try:
            self.sets = [self._data_set(name) for name in names]
            self._judge_rows(names)
        except BaseException:
            self.close()
            raise
        self.rows = int(self.sets[0].shape[0])

    def _data_set(self, name: str) -> Any:
        import h5py

        try:
            found = self._file.get(name)
        except (KeyError, OSError, RuntimeError) as error:
            raise DataError(f'{self.path}: data set "{name}" is damaged: {error}') from None
        if not isinstance(found, h5py.Dataset):
            near = nearest(name, list(self._file))
            have = ", ".join(sorted(self._file)[:20]) or "none"
            raise DataError(
                f'{self.path}: there is no data set "{name}" (there are: {have})',
                help=f'did you mean "{near}"? A data set is found by the name of the top'
                if near
                else "a data set is found by the name of the top",
            )
        if found.dtype.kind not in "fiub":
            raise DataError(
                f'{self.path}: data set "{name}" holds {found.dtype}, not numbers', code="E454"
            )
        if not found.shape:
            raise DataError(f'{self.path}: data set "{name}" is one value, not rows', code="E454")
        return found

    def _judge_rows(self, names: list[str]) -> None:
        for name, found in zip(names, self.sets, strict=True):
            if found.shape[0] != self.sets[0].shape[0]:
                raise DataError(
                    f'{self.path}: data set "{name}" has {found.shape[0]} rows, '
                    f'but "{names[0]}" has {self.sets[0].shape[0]}',
                    code="E454",
                )

    def row_shapes(self) -> list[tuple[int, ...]]:
        return [tuple(found.shape[1:]) for found in self.sets]

    def close(self) -> None:
        self._file.close()


def first_row_shapes(path: str, names: list[str]) -> list[tuple[int, ...]]:
    """Returns the shape of a row of each data set, by the first file; it is closed again."""
    file = Hdf5File(read_list(path)[0], names)
    try:
        return file.row_shapes()
    finally:
        file.close()


class Hdf5Batches:
    """Makes batches of `size` rows of each data set, from position `start` on."""

    def __init__(
        self,
        path: str,
        names: list[str],
        size: int,
        shuffle: bool,
        dtype: np.dtype,
        start: int,
        key: int,
    ) -> None:
        self._names, self._size, self._shuffle, self._dtype = names, size, shuffle, dtype
        self._start, self._key = start, key
        self._files = read_list(path)
        self._open: Hdf5File | None = None
        self._in_memory: list[Array] | None = None
        self._rows = []
        for number in range(len(self._files)):
            self._rows.append(self._file(number).rows)
            if number == 0:
                self._shapes = self._file(0).row_shapes()
            self._judge_shapes(number)
        self.count = sum(self._rows)
        if not self.count:
            self.close()
            raise DataError(f"{path}: the files have no rows", code="E452")

    def _judge_shapes(self, number: int) -> None:
        file = self._file(number)
        for name, shape, first in zip(self._names, file.row_shapes(), self._shapes, strict=True):
            if shape != first:
                self.close()
                raise DataError(
                    f'{file.path}: a row of "{name}" is {shape}, '
                    f"but in {self._files[0]} it is {first}",
                    code="E454",
                )

    def make(self, number: int, spare: Batch | None) -> Batch:
        batch = [
            array_in(spare, index, (self._size, *shape), self._dtype)
            for index, shape in enumerate(self._shapes)
        ]
        done, position = 0, self._start + number * self._size
        while done < self._size:
            epoch, offset = divmod(position, self.count)
            file, row = self._find(epoch, offset)
            taken = min(self._size - done, self._rows[file] - row)
            self._copy(epoch, file, row, [array[done : done + taken] for array in batch])
            done, position = done + taken, position + taken
        return batch

    def _find(self, epoch: int, offset: int) -> tuple[int, int]:
        """Returns file and row (in this epoch's order) of the epoch's row `offset`."""
        order = range(len(self._files))
        if self._shuffle:
            order = permutation(len(self._files), self._key, epoch).tolist()
        for file in order:
            if offset < self._rows[file]:
                return file, offset
            offset -= self._rows[file]
        raise AssertionError("the offset is within the epoch")

    def _copy(self, epoch: int, number: int, row: int, out: Batch) -> None:
        """Fills `out` with rows `row` … of the file in this epoch's order."""
        file = self._file(number)
        stop = row + len(out[0])
        try:
            if not self._shuffle:
                for found, array in zip(file.sets, out, strict=True):
                    array[...] = found[row:stop]
                return
            order = permutation(file.rows, self._key, epoch, number)[row:stop]
            for found, array in zip(self._whole(file), out, strict=True):
                if isinstance(found, np.ndarray):
                    np.take(found, order, axis=0, out=array, mode="clip")
                else:
                    for place, chosen in enumerate(order.tolist()):
                        array[place] = found[chosen]
        except OSError as error:
            raise DataError(f"{file.path}: rows {row} to {stop - 1}: {error}") from None

    def _whole(self, file: Hdf5File) -> list[Any]:
        """Returns the data sets in memory, or as they are in the file if they are too large."""
        values = sum(int(found.size) for found in file.sets)
        if values * self._dtype.itemsize > _MOST_BYTES_IN_MEMORY:
            return file.sets
        if self._in_memory is None:
            self._in_memory = [found[...].astype(self._dtype) for found in file.sets]
        return self._in_memory

    def _file(self, number: int) -> Hdf5File:
        """Returns that file, open, and closes the one before."""
        path = self._files[number]
        if self._open is None or self._open.path != path:
            self.close()
            self._open = Hdf5File(path, self._names)
        return self._open

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open = self._in_memory = None
