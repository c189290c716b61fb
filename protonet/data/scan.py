"""Going through all records of a database once, each as an image or as what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .datum import read_datums
from .datum_batches import datum_image
from .errors import DataError
from .pictures import Image, lent_image
from .records import Record, RecordReader, RecordSource

__all__ = ["Scanned", "scan"]

_RECORDS_AT_A_TIME = 256


@dataclass(frozen=True, slots=True)
class Scanned:
    """A record: its image, valid until the next one is asked for, or what is wrong."""

    number: int
    label: int
    encoded: bool
    image: Image | DataError


def scan(source: RecordSource, mode: str = "") -> Iterator[Scanned]:
    """Gives each record of a database in the order of the keys; `mode` as of `decode`.

    Raises DataError E451 where the database itself is broken.
    """
    reader = source.reader()
    try:
        for first in range(0, source.count, _RECORDS_AT_A_TIME):
            records = reader.read(first, min(_RECORDS_AT_A_TIME, source.count - first))
            found, owner = read_datums(records)
            for index, record in enumerate(records):
                yield _scanned(reader, first + index, record, found[index], owner, mode)
    finally:
        reader.close()


def _scanned(
    reader: RecordReader, number: int, record: Record, found: np.void, owner: object, mode: str
) -> Scanned:
    label, encoded = int(found["label"]), bool(found["encoded"])
    image: Image | DataError
    if found["raw"]:
        channels, height, width = (int(found[name]) for name in ("channels", "height", "width"))
        shape, strides = (channels, height, width), (height * width, width, 1)
        image = lent_image(owner, int(found["pixels"]), "|u1", shape, strides)
    else:
        try:
            image = datum_image(record, found, mode)
        except DataError as wrong:
            key = reader.key(number)
            image = wrong.about(f'{reader.source.path}: record {number} (key "{key}")')
    return Scanned(number, label, encoded, image)
