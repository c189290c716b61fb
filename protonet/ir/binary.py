"""Small binary messages: a blob in a file of its own (.binaryproto), examples in a database.

Codes: E311 another kind of file, E312 cut off or damaged, E313 a blob contradicts itself.
"""

from __future__ import annotations

import os

import numpy as np

from protonet.prototxt.diagnostics import Diagnostic, Error

from .blobs import Array, BlobError, blob_bytes, blob_in
from .files import FilePath, atomic_write, map_file, place
from .foreign import recognise
from .protonet_pb2 import Datum
from .wire import WireError

__all__ = [
    "array_datum", "datum_array", "read_blob", "write_blob",
]  # fmt: skip


def read_blob(path: FilePath) -> Array:
    """Read a .binaryproto (a mean image, a matrix) as an array. Raises Error E310 to E313."""
    file = os.fspath(path)
    data = _message_bytes(path, "a .binaryproto")
    try:
        return blob_in(data).array
    except WireError as error:
        message = f"damaged or cut off at byte {error.position} of {len(data)}: {error.reason}"
        raise Error(Diagnostic("E312", message, (place(file),))) from None
    except BlobError as error:
        raise Error(Diagnostic("E313", f"this blob {error}", (place(file),))) from None


def write_blob(path: FilePath, array: Array) -> None:
    """Write an array as a .binaryproto; the old file is replaced when all is written."""
    with atomic_write(path) as stream:
        for piece in blob_bytes(array):
            stream.write(piece)


def datum_array(datum: Datum) -> Array:
    """Give the C×H×W values of a Datum: uint8 from data, float32 from float_data.

    Raises ValueError if their number is another one, or if data is an encoded image file.
    """
    if datum.encoded:
        raise ValueError("this Datum holds an encoded image file")
    shape = (datum.channels, datum.height, datum.width)
    if datum.data:
        values: Array = np.frombuffer(datum.data, np.uint8)
    else:
        values = np.array(datum.float_data, np.float32)
    if min(shape) < 0 or values.size != shape[0] * shape[1] * shape[2]:
        size = "×".join(map(str, shape))
        raise ValueError(f"this Datum should hold {size} values and holds {values.size}")
    return values.reshape(shape)


def array_datum(array: Array, label: int | None = None) -> Datum:
    """Make a Datum of C×H×W values: bytes if they are uint8, floats otherwise."""
    channels, height, width = array.shape
    datum = Datum(channels=channels, height=height, width=width, label=label)
    if array.dtype == np.uint8:
        datum.data = array.tobytes()
    else:
        datum.float_data.extend(array.ravel().tolist())
    return datum


def _message_bytes(path: FilePath, expected: str) -> memoryview:
    data = map_file(path)
    kind = recognise(data)
    if kind is None or kind.content != "message":
        found = f"this is {kind.what}" if kind else "this file is empty"
        help = kind.fix if kind else ""
        message = f"{found}, not {expected}"
        raise Error(Diagnostic("E311", message, (place(os.fspath(path)),), help=help))
    return data
