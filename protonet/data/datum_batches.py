"""Batches of a database of Datum records: raw bytes, encoded images or floats."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from protonet.ir.protonet_pb2 import Datum

from .arrays import Array, Batch, array_in
from .bad_records import bad_records, stand_ins
from .databases import open_database
from .datum import datum_floats, read_datums
from .errors import DataError
from .pictures import Image, Pictures, decode
from .records import Record, RecordReader, RecordSource
from .transformer import Tell, Transformer

__all__ = ["DatumBatches", "datum_image", "first_image_shape"]


class DatumBatches:
    """Makes batches of `size` records from position `start` on: N×C×H×W images, N labels."""

    def __init__(
        self,
        path: str,
        leveldb: bool,
        transformer: Transformer,
        size: int,
        dtype: np.dtype,
        start: int,
        key: int,
    ) -> None:
        self._transformer, self._size, self._dtype = transformer, size, dtype
        self._start, self._key = start, key
        self._source = open_database(path, leveldb)
        self._reader = self._source.reader()

    def make(self, number: int, spare: Batch | None) -> Batch:
        first = self._start + number * self._size
        records = self._reader.read(first, self._size)
        found, owner = read_datums(records)
        tell = partial(_of_record, self._reader, first)
        pictures = _pictures(
            records, found, self._transformer.decode_mode, tell, (self._source, first)
        )
        pictures.owners.append(owner)
        shape = self._transformer.batch_shape(pictures, tell)
        images = array_in(spare, 0, (self._size, *shape), self._dtype)
        labels = array_in(spare, 1, (self._size,), self._dtype)
        positions = np.arange(first, first + self._size)
        self._transformer.run(pictures, self._key, positions, images)
        labels[...] = found["label"]
        return [images, labels]

    def close(self) -> None:
        self._reader.close()
        self._source.close()


def first_image_shape(path: str, leveldb: bool, transformer: Transformer) -> tuple[int, int, int]:
    """Returns C×H×W of what the first record becomes; the database is closed again."""
    with open_database(path, leveldb) as source:
        reader = source.reader()
        try:
            records = reader.read(0, 1)
            tell = partial(_of_record, reader, 0)
            (found, _), mode = read_datums(records), transformer.decode_mode
            pictures = _pictures(records, found, mode, tell, (source, 0))
            return transformer.batch_shape(pictures, tell)
        finally:
            reader.close()


def _of_record(reader: RecordReader, first: int, index: int, error: DataError) -> DataError:
    """Returns the error with source, number and key of record first + index."""
    number = (first + index) % reader.source.count
    return error.about(f'{reader.source.path}: record {number} (key "{reader.key(number)}")')


def _pictures(
    records: list[Record],
    found: npt.NDArray[np.void],
    mode: str,
    tell: Tell,
    at: tuple[RecordSource, int],
) -> Pictures:
    """Returns the images of the records that are there in the source from a number on: raw ones
    where they lie, others decoded."""
    source, first = at
    others: dict[int, Image] = {}
    bad: dict[int, DataError] = {}
    for index in np.flatnonzero(found["raw"] == 0).tolist():
        try:
            others[index] = datum_image(records[index], found[index], mode)
        except DataError as error:
            bad[index] = tell(index, error)
            bad_records.leave_out(bad[index], source.path, (first + index) % source.count)
    if bad:
        chosen = stand_ins([index in bad for index in range(len(records))])
        if chosen is None:
            raise bad[0]
        found[:] = found[chosen]
        others = {index: others[j] for index, j in enumerate(chosen) if j in others}
    channels = found["channels"].copy()
    for index, image in others.items():
        channels[index] = image.shape[0]
    for index in np.flatnonzero(channels != channels[0])[:1].tolist():
        told = f"{channels[index]} channels, but the first image of its batch has {channels[0]}"
        help = "set force_color or force_gray in transform_param" if others else ""
        raise tell(index, DataError(told, code="E454", help=help))
    pictures = Pictures(len(records), int(channels[0]))
    pictures.heights[...], pictures.widths[...] = found["height"], found["width"]
    places = pictures.places
    places["pixels"] = found["pixels"]
    places["channel_step"] = found["height"] * found["width"]
    places["row_step"] = found["width"]
    places["column_step"] = 1
    for index, image in others.items():
        pictures.put(index, image)
    return pictures


def datum_image(record: Record, found: np.void, mode: str) -> Image:
    """Returns the image of a record that holds no raw one. Raises DataError E453."""
    if found["broken"]:
        raise DataError(
            "this is no Datum", code="E453", help="is it a database of another program?"
        )
    if found["encoded"]:
        return decode(Datum.FromString(bytes(record)).data, mode)
    shape = tuple(int(found[name]) for name in ("channels", "height", "width"))
    size = "×".join(map(str, shape))
    if found["size"] or not found["floats"]:
        raise DataError(f"{found['size']} bytes for an image of {size}", code="E453")
    values: Array = datum_floats(record)
    if min(shape) < 1 or values.size != shape[0] * shape[1] * shape[2]:
        raise DataError(f"{values.size} floats for an image of {size}", code="E453")
    return values.reshape(shape)
