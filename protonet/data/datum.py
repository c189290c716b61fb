"""Datum: the record of a Caffe database, an image and its label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from protonet import kernels
from protonet.ir.protonet_pb2 import Datum

from .records import Record

__all__ = ["DATUM", "datum_bytes", "datum_floats", "encoded_datum_bytes", "read_datums"]

DATUM = np.dtype(
    [
        (name, np.int64)
        for name in (
            "channels", "height", "width", "label",
            "pixels", "size", "floats", "encoded", "broken", "raw",
        )
    ]
)  # fmt: skip
"""The C struct `datum` of kernels.h, where each field is explained."""


def read_datums(records: Sequence[Record]) -> tuple[npt.NDArray[np.void], object]:
    """Returns what each record says, a row of DATUM, and what must outlive the rows' use: `pixels`
    is an address in it."""
    found = np.empty(len(records), DATUM)
    sizes = np.fromiter(map(len, records), np.int64, len(records))
    owner: object
    if isinstance(records[0], bytes):  # small: joining takes less time than asking where each is
        owner = joined = np.frombuffer(b"".join(records), np.uint8)
        addresses = sizes.cumsum() - sizes + joined.__array_interface__["data"][0]
    else:
        owner, addresses = records, kernels.pointers(records)
    kernels.read_datums(records=addresses, sizes=sizes, found=found, n=len(records))
    return found, owner


def datum_floats(record: Record) -> npt.NDArray[np.float32]:
    """Returns the float values of a record that holds floats."""
    return np.array(Datum.FromString(bytes(record)).float_data, np.float32)


def datum_bytes(image: npt.NDArray[np.generic], label: int) -> bytes:
    """Returns the record of a C×H×W image: its bytes if it is uint8, else its values as floats."""
    channels, height, width = image.shape
    datum = Datum(channels=channels, height=height, width=width, label=label)
    if image.dtype == np.uint8:
        datum.data = image.tobytes()
    else:
        datum.float_data.extend(image.astype(np.float32).ravel().tolist())
    return datum.SerializeToString()


def encoded_datum_bytes(content: bytes, shape: tuple[int, int, int], label: int) -> bytes:
    """Returns the record of an image file's bytes, whose image is C×H×W."""
    channels, height, width = shape
    return Datum(
        channels=channels, height=height, width=width, label=label, data=content, encoded=True
    ).SerializeToString()
