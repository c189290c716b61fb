"""Snappy, in which LevelDB packs its blocks: bytes as they are, and copies of bytes before."""

from __future__ import annotations

from protonet.ir.wire import WireError, varint_at

__all__ = ["unsnapped"]

_LONG = 60  # from here on, a size follows in 1 to 4 bytes


def unsnapped(data: memoryview) -> bytearray:
    """Returns what was packed. Raises WireError. (Snappy's format_description.txt)"""
    whole, at = varint_at(data, 0, len(data))
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            size = tag >> 2
            if size >= _LONG:
                more = size - _LONG + 1
                size = int.from_bytes(data[at : at + more], "little")
                at += more
            size += 1
            out += data[at : at + size]
            at += size
            continue
        if tag & 3 == 1:
            size, high, more = 4 + (tag >> 2 & 7), tag >> 5, 1
        else:
            size, high, more = 1 + (tag >> 2), 0, 2 if tag & 3 == 2 else 4
        back = high << 8 | int.from_bytes(data[at : at + more], "little")
        at += more
        if not 0 < back <= len(out):
            raise WireError(at, "a copy of what is not there")
        first = len(out) - back
        copied = out[first : first + size]
        out += copied if size <= back else (copied * (size // back + 1))[:size]
        if len(out) > whole:
            break
    if len(out) != whole or at != len(data):
        raise WireError(at, f"{whole} bytes were packed, but there are {len(out)}")
    return out
