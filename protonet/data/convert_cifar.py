"""Turning CIFAR's binary files into a database."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from protonet.ir.files import map_file

from .convert import Converted, Progress, no_progress
from .datum import datum_bytes
from .errors import DataError
from .lmdb_writer import write_lmdb

__all__ = ["LABELS", "cifar_to_lmdb"]

LABELS = {"cifar10": (10,), "coarse": (20, 100), "fine": (20, 100)}
"""How many classes each of the label bytes that begin a record has: CIFAR-10's one; CIFAR-100's
coarse and fine."""

_HELP = "CIFAR's binary version is meant; --label coarse or fine for CIFAR-100"
_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32


def cifar_to_lmdb(
    files: Sequence[str],
    path: str,
    label: str = "cifar10",
    *,
    bgr: bool = False,
    replace: bool = False,
    progress: Progress = no_progress,
) -> Converted:
    """Makes a database of the images of CIFAR-10's or CIFAR-100's binary files, in their order.

    The channels are R, G, B as in the files (Caffe's converter keeps them too), or B, G, R as in
    all else with `bgr`. The keys are 00000, 00001, … Raises DataError: E451 for a file that does
    not consist of such records, E453 for a label of a class that there is not.
    """
    made = Converted(path)
    with write_lmdb(path, replace) as database:
        parts = [_records(file, LABELS[label]) for file in files]
        for index, record in enumerate(progress(_each(parts), sum(map(len, parts)))):
            image = record[-_PIXELS:].reshape(_SHAPE)
            number = int(record[1 if label == "fine" else 0])
            database.put(f"{index:05d}", datum_bytes(image[::-1] if bgr else image, number))
            made.add(_SHAPE, number)
    return made


def _each(parts: Sequence[npt.NDArray[np.uint8]]) -> Iterator[npt.NDArray[np.uint8]]:
    for part in parts:
        yield from part


def _records(file: str, classes: Sequence[int]) -> npt.NDArray[np.uint8]:
    if os.path.isdir(file):
        raise DataError(
            f"{file} is a folder", help=f"give its files: {os.path.join(file, '*.bin')}"
        )
    content = np.frombuffer(map_file(file), np.uint8)
    size = len(classes) + _PIXELS
    if not len(content) or len(content) % size:
        raise DataError(
            f"{file}: {len(content):,} bytes are not records of {size} ({len(classes)} label and "
            f"{_PIXELS} pixel bytes)",
            help=_HELP,
        )
    records = content.reshape(-1, size)
    for byte, count in enumerate(classes):
        wrong = np.flatnonzero(records[:, byte] >= count)
        if len(wrong):
            label = records[wrong[0], byte]
            raise DataError(
                f"{file}: record {wrong[0]} has label {label}, of {count} classes",
                code="E453",
                help=_HELP,
            )
    return records
