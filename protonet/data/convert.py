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

__all__ = ["Converted", "Progress", "idx_to_lmdb", "no_progress", "read_idx_pair"]

Progress = Callable[[Iterable[Any], int], Iterable[Any]]
"""Passes through the things to be done, of which there are so many, and shows how far it is."""


def no_progress(things: Iterable[Any], count: int) -> Iterable[Any]:
    """Shows nothing."""
    return things


class Converted:
    """What a new database holds."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.count = 0
        self.continued = 0  # records that were there already, of an interrupted conversion
        self.shapes: set[tuple[int, ...]] = set()
        self.least = self.greatest = 0  # label
        self.skipped: list[DataError] = []

    def add(self, shape: tuple[int, ...], label: int) -> None:
        """Counts a record."""
        if not self.shapes:
            self.least = self.greatest = label
        self.shapes.add(shape)
        self.least, self.greatest = min(self.least, label), max(self.greatest, label)
        self.count += 1

    def __str__(self) -> str:
        sizes = sorted("×".join(map(str, shape)) for shape in self.shapes)
        size = sizes[0] if len(sizes) == 1 else f"{len(sizes)} sizes"
        text = f"{self.path}: {self.count:,} records"
        if self.continued:
            text += f", {self.continued:,} of them there before"
        if sizes:
            others = "; the others" if self.continued else ""
            text += f"{others} of {size}, labels {self.least} to {self.greatest}"
        return text


def idx_to_lmdb(
    images: FilePath,
    labels: FilePath,
    path: str,
    *,
    replace: bool = False,
    progress: Progress = no_progress,
) -> Converted:
    """Makes a database of an IDX file of N×H×W bytes and one of N labels, in their order.

    The keys are 00000000, 00000001, … Raises DataError where the files do not fit each other,
    E455 if the database is there already and `replace` is False.
    """
    made = Converted(path)
    with write_lmdb(path, replace) as database:
        pixels, numbers = read_idx_pair(images, labels)
        pairs = enumerate(zip(pixels, numbers.tolist(), strict=True))
        for index, (image, label) in progress(pairs, len(pixels)):
            database.put(f"{index:08d}", datum_bytes(image[None], label))
            made.add((1, *image.shape), label)
    return made


def read_idx_pair(
    images: FilePath, labels: FilePath
) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]:
    """Returns N×H×W bytes and N labels of two IDX files. Raises DataError where they are not
    such, or do not fit each other."""
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
