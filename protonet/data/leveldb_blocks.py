"""What guards and packs the blocks of a LevelDB: checksums (CRC-32C), and Snappy."""

from __future__ import annotations

from protonet.ir.wire import WireError, varint_at
from protonet.kernels._native import ffi, lib

__all__ = ["masked_checksum", "unsnapped"]

_MOST_TIMES = 22  # its own size is what a packed block can hold: a copy of 64 bytes takes 3


def masked_checksum(data: bytes | memoryview) -> int:
    """Returns the checksum of some bytes as LevelDB writes it: turned, so that a checksum of what
    has checksums in it stays one. (LevelDB's crc32c.h)"""
    checksum = int(lib.crc32c(ffi.from_buffer(data), len(data)))
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def unsnapped(data: memoryview) -> bytearray:
    """Returns what was packed. Raises WireError."""
    whole, at = varint_at(data, 0, len(data))
    if whole > _MOST_TIMES * len(data):
        raise WireError(0, f"{len(data)} bytes cannot hold {whole}")
    out = bytearray(whole)
    packed = data[at:]
    if lib.unsnap(ffi.from_buffer(packed), len(packed), ffi.from_buffer(out), whole) != whole:
        raise WireError(at, f"these are not {whole} bytes that Snappy packed")
    return out
