"""Files that rows of blobs are written to, batch after batch: HDF5, NumPy, LMDB.

A file is there when all is written; what is interrupted leaves the old one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from protonet.ir.files import atomic_path

from .arrays import Array
from .datum import datum_bytes
from .errors import DataError
from .lmdb_writer import write_lmdb

__all__ = ["RowWriter", "row_file"]

RowWriter = Callable[[Mapping[str, Array]], None]
"""Adds the rows (axis 0) of arrays by the blobs' names."""

_IMAGE_AXES = 3
_ROWS_PER_CHUNK_BYTES = 1 << 20


@contextmanager
def row_file(path: str, blobs: list[str], replace: bool = False) -> Iterator[RowWriter]:
    """Gives a function that adds rows of these blobs to a file of the kind that its name says.

    .h5, .hdf5: a data set for each blob; .npy: an array of one blob; .lmdb, _lmdb: float Datum
    records of one blob, C×H×W, keys 0000000000, …. Raises DataError E455 for other names.
    """
    kinds = {
        (".h5", ".hdf5"): _hdf5, (".npy",): _npy, (".lmdb", "_lmdb"): _lmdb,
    }  # fmt: skip
    kind = next((make for ends, make in kinds.items() if path.rstrip("/").endswith(ends)), None)
    if kind is None:
        raise DataError(
            f"{path}: the name does not tell what kind of file it is",
            code="E455",
            help="end it with .h5, .npy or .lmdb",
        )
    if kind is not _hdf5 and len(blobs) != 1:
        raise DataError(
            f"{path} takes one blob, not {len(blobs)}",
            code="E455",
            help="write several to an .h5 file, or each to a file of its own",
        )
    with kind(path, replace) as add:
        yield add


@contextmanager
def _hdf5(path: str, replace: bool) -> Iterator[RowWriter]:
    import h5py

    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:

        def add(rows: Mapping[str, Array]) -> None:
            for name, values in rows.items():
                if name not in file:
                    row = values.shape[1:]
                    each = max(1, values[:1].nbytes)
                    chunk = max(1, min(len(values), _ROWS_PER_CHUNK_BYTES // each))
                    chunks = (chunk, *row) if 0 not in row else True
                    file.create_dataset(
                        name, (0, *row), values.dtype, maxshape=(None, *row), chunks=chunks
                    )
                found = file[name]
                _judge(path, name, values.shape[1:], found.shape[1:])
                found.resize(len(found) + len(values), axis=0)
                found[len(found) - len(values) :] = values

        yield add


@contextmanager
def _npy(path: str, replace: bool) -> Iterator[RowWriter]:
    """The header is written last, into room kept for it, when the number of rows is known."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        first: list[Array] = []
        count = 0

        def add(rows: Mapping[str, Array]) -> None:
            nonlocal count
            ((name, values),) = rows.items()
            if not first:
                first.append(values[:0].copy())
                file.write(_npy_header(values.dtype, (0, *values.shape[1:])))
            _judge(path, name, values.shape[1:], first[0].shape[1:])
            file.write(np.ascontiguousarray(values).data)
            count += len(values)

        yield add
        if first:
            file.seek(0)
            file.write(_npy_header(first[0].dtype, (count, *first[0].shape[1:])))


def _npy_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Returns a .npy header of a size that does not depend on the number of rows."""
    text = repr({"descr": dtype.str, "fortran_order": False, "shape": shape})
    size = 118 + 64 * (len(shape) // 2)
    return b"\x93NUMPY\x01\x00" + size.to_bytes(2, "little") + f"{text:{size - 1}}\n".encode()


@contextmanager
def _lmdb(path: str, replace: bool) -> Iterator[RowWriter]:
    with write_lmdb(path, replace) as database:

        def add(rows: Mapping[str, Array]) -> None:
            ((name, values),) = rows.items()
            if values.ndim > _IMAGE_AXES + 1:
                size = "×".join(map(str, values.shape))
                raise DataError(f"{path}: {name}, {size}, is no row of images C×H×W", code="E454")
            shape = (*values.shape[1:], 1, 1, 1)[:_IMAGE_AXES]
            for row in values:
                image = row.reshape(shape).astype(np.float32, copy=False)
                database.put(f"{database.count:010d}", datum_bytes(image, 0))

        yield add


def _judge(path: str, name: str, row: tuple[int, ...], first: tuple[int, ...]) -> None:
    if row != first:
        found, wanted = ("×".join(map(str, shape)) or "scalar" for shape in (row, first))
        raise DataError(
            f"{path}: a row of {name} is {found}, but those before are {wanted}", code="E454"
        )
