"""Turning data sets of other kinds into databases of Datum records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from protonet.ir.files import FilePath

from .datum import datum_bytes
from .errors import DataError
from .idx import read_idx
from .lmdb_writer import write_lmdb

__all__ = ["Converted", "idx_to_lmdb"]

Progress = Callable[[Iterable[Any], int], Iterable[Any]]
"""Passes through the things to be done, of which there are so many, and shows how far it is."""


class Converted:
    """What a new database holds."""

    def __init__(self, path: str, count: int, shape: tuple[int, ...], labels: range) -> None:
        self.path, self.count, self.shape, self.labels = path, count, shape, labels

    def __str__(self) -> str:
        size = "×".join(map(str, self.shape))
        labels = f"labels {self.labels.start} to {self.labels.stop - 1}"
        return f"{self.path}: {self.count:,} records of {size}, {labels}"


def idx_to_lmdb(
    images: FilePath,
    labels: FilePath,
    path: str,
    *,
    replace: bool = False,
    progress: Progress = lambda things, count: things,
) -> Converted:
    """Makes a database of an IDX file of N×H×W bytes and one of N labels, in their order.

    The keys are 00000000, 00000001, … Raises DataError where the files do not fit each other,
    E455 if the database is there already and `replace` is False.
    """
    with write_lmdb(path, replace) as database:
        pixels, numbers = _read_pair(images, labels)
        pairs = enumerate(zip(pixels, numbers.tolist(), strict=True))
        for index, (image, label) in progress(pairs, len(pixels)):
            database.put(f"{index:08d}", datum_bytes(image[None], label))
    span = range(int(numbers.min()), int(numbers.max()) + 1)
    return Converted(path, len(pixels), (1, *pixels.shape[1:]), span)


def _read_pair(
    images: FilePath, labels: FilePath
) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]:
    pixels, numbers = read_idx(images), read_idx(labels)
    if pixels.ndim == 1 and numbers.ndim == 3:
        raise DataError(
            f"{images} holds labels and {labels} holds images",
            help="give the file of the images first",
        )
    for file, array, axes, kind, what in (
        (images, pixels, 3, "u", "images, N×H×W bytes"),
        (labels, numbers, 1, "ui", "N labels, whole numbers"),
    ):
        if array.ndim != axes or array.dtype.kind not in kind:
            shape = "×".join(map(str, array.shape))
            raise DataError(f"{file} holds {shape} values of {array.dtype}, not {what}")
    if len(pixels) != len(numbers):
        raise DataError(
            f"{images} holds {len(pixels):,} images, but {labels} {len(numbers):,} labels",
            code="E454",
            help="do they belong together?",
        )
    if not pixels.size:
        raise DataError(f"{images} holds no images", code="E452")
    return pixels, numbers
