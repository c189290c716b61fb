"""BlobProto and numpy: arrays found in the wire format, and written to it, without a copy.

Arrays come back as float32 or float64, little-endian, read-only, and not necessarily aligned:
they are views of the buffer they were found in.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .protonet_pb2 import BlobProto
from .wire import FIXED32, FIXED64, LENGTH, VARINT, Field, WireError, field_at, fields_in, varint_at

__all__ = ["Array", "BlobError", "StoredBlob", "blob_array", "blob_bytes", "blob_in", "blob_proto"]

Array = npt.NDArray[Any]

_DATA, _DIFF, _SHAPE, _DOUBLE_DATA, _DOUBLE_DIFF = 5, 6, 7, 8, 9
_RAW_DATA = 12  # of a Caffe fork: half precision
_MOST_AXES = 32
_MOST_VALUES = 2**31 - 1


class BlobError(Exception):
    """A BlobProto whose parts contradict each other."""


class StoredBlob(NamedTuple):
    """An array, and whether its shape was given the old way (num, channels, height, width)."""

    array: Array
    legacy: bool


def blob_in(buffer: memoryview, start: int = 0, end: int | None = None) -> StoredBlob:
    """Find the array of the BlobProto that lies in buffer[start:end].

    Packed values become a view of the buffer; those in pieces are joined. Values in
    double_data win over data, as in Caffe. Raises WireError, BlobError.
    """
    end = len(buffer) if end is None else end
    legacy: dict[int, int] = {}
    axes: list[int] = []
    pieces: dict[int, list[Array]] = {_DATA: [], _DOUBLE_DATA: []}
    has_raw_data = False
    position = start
    while position < end:
        field = field_at(buffer, position, end)
        number, wire = field.number, field.wire
        following = field.end
        if number <= 4 and wire == VARINT:
            legacy[number] = _int32(field.value)
        elif number == _SHAPE and wire == LENGTH:
            axes += _axes_in(buffer, field.start, field.end, _MOST_AXES - len(axes))
        elif number in pieces and wire == LENGTH:
            pieces[number].append(_packed(buffer, number, field.start, field.end))
        elif (number, wire) in ((_DATA, FIXED32), (_DOUBLE_DATA, FIXED64)):
            values, following = _unpacked(buffer, field, position, end)
            pieces[number].append(values)
        elif number == _RAW_DATA and wire == LENGTH:
            has_raw_data = True
        position = following
    found = pieces[_DOUBLE_DATA] or pieces[_DATA]
    values = found[0] if len(found) == 1 else np.concatenate(found or [np.empty(0, "<f4")])
    shape = tuple(legacy.get(i, 0) for i in (1, 2, 3, 4)) if legacy else tuple(axes)
    if has_raw_data and not values.size:
        raise BlobError("holds raw_data of a Caffe fork; save it in float32 with that fork")
    return StoredBlob(_shaped(values, shape), bool(legacy))


def blob_array(proto: BlobProto) -> Array:
    """Give the values of a BlobProto message as an array of its shape. Raises BlobError."""
    # Serializing is one memory copy, going through the elements in Python is not.
    return blob_in(memoryview(proto.SerializeToString())).array


def blob_proto(array: Array, diff: Array | None = None) -> BlobProto:
    """Make a BlobProto message of an array (and its gradient)."""
    return BlobProto.FromString(b"".join(blob_bytes(array, diff)))


def blob_bytes(array: Array, diff: Array | None = None) -> list[bytes | memoryview]:
    """Give the wire format of a BlobProto in pieces, the values among them not copied.

    float64 arrays are stored as doubles, all others as floats.
    """
    pieces: list[bytes | memoryview] = []
    for part, single, double in ((array, _DATA, _DOUBLE_DATA), (diff, _DIFF, _DOUBLE_DIFF)):
        if part is not None and part.size:
            is_double = part.dtype == np.float64
            values = np.ascontiguousarray(part, dtype="<f8" if is_double else "<f4")
            pieces.append(length_delimited(double if is_double else single, values.nbytes))
            pieces.append(values.reshape(-1).view(np.uint8).data)
    axes = b"".join(varint(axis) for axis in array.shape)
    shape = length_delimited(1, len(axes)) + axes if axes else b""
    pieces.append(length_delimited(_SHAPE, len(shape)) + shape)
    return pieces


def length_delimited(number: int, length: int) -> bytes:
    """Give the tag and length that begin a field of `length` bytes."""
    return varint(number << 3 | LENGTH) + varint(length)


def varint(value: int) -> bytes:
    """Encode a non-negative integer, seven bits a byte."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _packed(buffer: memoryview, number: int, start: int, end: int) -> Array:
    dtype = np.dtype("<f8" if number == _DOUBLE_DATA else "<f4")
    count, rest = divmod(end - start, dtype.itemsize)
    if rest:
        raise WireError(start, f"{end - start} bytes are no whole number of values")
    return np.frombuffer(buffer, dtype, count, start)


def _unpacked(buffer: memoryview, field: Field, position: int, end: int) -> tuple[Array, int]:
    """Read the run of values, each with a tag, that begins with the field at `position`.

    Returns the values and the position after them.
    """
    value = "<f8" if field.number == _DOUBLE_DATA else "<f4"
    if field.start - position > 1:  # a tag of more bytes than it needs
        return np.frombuffer(buffer, value, 1, field.start), field.end
    record = np.dtype([("tag", "u1"), ("value", value)])
    records = np.frombuffer(buffer, record, (end - position) // record.itemsize, position)
    run = _run_length(records["tag"], buffer[position])
    return records["value"][:run], position + run * record.itemsize


def _run_length(tags: Array, tag: int) -> int:
    """Count how many elements at the start are equal to `tag`.

    Looks at 64, then 128, 256, ... of them, so that many short runs cost what they are long.
    """
    run, size = 0, 64
    while run < len(tags):
        equal = tags[run : run + size] == tag
        if not equal.all():
            return run + int(equal.argmin())
        run, size = run + len(equal), 2 * size
    return run


def _axes_in(buffer: memoryview, position: int, end: int, most: int) -> list[int]:
    """Read a BlobShape."""
    axes: list[int] = []
    for field in fields_in(buffer, position, end):
        if field.number == 1 and field.wire == VARINT:
            axes.append(_int64(field.value))
        elif field.number == 1 and field.wire == LENGTH:
            inner = field.start
            while inner < field.end and len(axes) <= most:
                value, inner = varint_at(buffer, inner, field.end)
                axes.append(_int64(value))
        if len(axes) > most:
            raise BlobError(f"has more than {_MOST_AXES} axes")
    return axes


def _shaped(values: Array, shape: tuple[int, ...]) -> Array:
    text = "×".join(map(str, shape)) or "()"
    count = size = 1
    for axis in shape:
        if axis < 0:
            raise BlobError(f"has the shape {text}")
        count *= axis
        size *= max(axis, 1)
    if size > _MOST_VALUES:
        raise BlobError(f"has the shape {text}, more than {_MOST_VALUES} values")
    if count != values.size:
        raise BlobError(f"has the shape {text}, {count} values, but holds {values.size}")
    return values.reshape(shape)


def _int64(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _int32(value: int) -> int:
    value &= 0xFFFF_FFFF
    return value - (1 << 32) if value >> 31 else value
