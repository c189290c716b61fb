"""The protobuf wire format, read in place: where each field of a message lies in a buffer.

A .caffemodel is a few kilobytes of structure around hundreds of megabytes of numbers. Reading
it through generated code copies every number; this walks over the structure and leaves the
numbers where they are. (Format: protobuf.dev, "Encoding".)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

__all__ = [
    "FIXED32", "FIXED64", "LENGTH", "VARINT",
    "Field", "WireError", "field_at", "fields_in", "varint_at",
]  # fmt: skip

VARINT, FIXED64, LENGTH, START_GROUP, END_GROUP, FIXED32 = range(6)

_LONGEST_VARINT = 10
_DEEPEST_GROUP = 32


class WireError(Exception):
    """The bytes are not a message: `position` is where that shows."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position
        self.reason = reason


class Field(NamedTuple):
    """One field: its payload is buffer[start:end], and the next field begins at `end`."""

    number: int
    wire: int
    value: int  # of a VARINT
    start: int
    end: int


def field_at(buffer: memoryview, position: int, end: int) -> Field:
    """Find the field that begins at `position` in a message that ends at `end`."""
    tag, start = varint_at(buffer, position, end)
    number, wire = tag >> 3, tag & 7
    if number == 0:
        raise WireError(position, "no field begins here")
    if wire == LENGTH:
        length, start = varint_at(buffer, start, end)
        if length > end - start:
            raise WireError(
                position, f"field {number} should be {length} bytes long, {end - start} are left"
            )
        return Field(number, wire, 0, start, start + length)
    if wire == VARINT:
        value, after = varint_at(buffer, start, end)
        return Field(number, wire, value, start, after)
    if wire in (FIXED32, FIXED64):
        after = start + (4 if wire == FIXED32 else 8)
        if after > end:
            raise WireError(position, f"field {number} is cut off")
        return Field(number, wire, 0, start, after)
    if wire == START_GROUP:
        return Field(number, wire, 0, start, _group_end(buffer, start, end, number, 1))
    raise WireError(position, "no field begins here")


def varint_at(buffer: memoryview, position: int, end: int) -> tuple[int, int]:
    """Read an integer of seven bits a byte; returns it and the position after it."""
    value = shift = 0
    for after in range(position, min(end, position + _LONGEST_VARINT)):
        byte = buffer[after]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, after + 1
        shift += 7
    reason = "the message is cut off" if end - position < _LONGEST_VARINT else "no number ends here"
    raise WireError(position, reason)


def _group_end(buffer: memoryview, position: int, end: int, number: int, depth: int) -> int:
    """Find where a group (an obsolete kind of sub-message) ends."""
    if depth > _DEEPEST_GROUP:
        raise WireError(position, "groups are nested too deeply")
    while True:
        tag, after = varint_at(buffer, position, end)
        if tag & 7 == END_GROUP:
            if tag >> 3 != number:
                raise WireError(position, "a group ends that did not begin")
            return after
        if tag & 7 == START_GROUP:
            position = _group_end(buffer, after, end, tag >> 3, depth + 1)
        else:
            position = field_at(buffer, position, end).end


def fields_in(buffer: memoryview, start: int, end: int) -> Iterator[Field]:
    """Go through the fields of the message that lies in buffer[start:end]."""
    while start < end:
        field = field_at(buffer, start, end)
        yield field
        start = field.end
