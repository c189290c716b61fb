"""IDX files: the arrays in which MNIST is distributed, packed by gzip or not.

A big-endian header 00 00 TYPE AXES, one 32-bit size per axis, then the values.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib

import numpy as np
import numpy.typing as npt

from protonet.ir.files import FilePath, atomic_write, map_file
from protonet.ir.foreign import recognise

from .errors import DataError

__all__ = ["read_idx", "write_idx"]

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"


def read_idx(path: FilePath) -> npt.NDArray[np.generic]:
    """Reads an IDX file into an array of its shape and type (in the machine's byte order).

    Raises Error E310 if it cannot be read, DataError E451 if it is cut short or no IDX file.
    """
    file = os.fspath(path)
    content: bytes | memoryview = map_file(path)
    if bytes(content[:2]) == _GZIP:
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise DataError(f"{file}: the gzip file is damaged or cut short ({error})") from None
    shape, dtype, start = _header(file, content)
    wanted, have = math.prod(shape) * dtype.itemsize, len(content) - start
    if have != wanted:
        raise DataError(
            f"{file}: the header promises {'×'.join(map(str, shape))} values, {wanted:,} bytes, "
            f"but {have:,} follow",
            help="the file is cut short: fetch it again" if have < wanted else "",
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder())


def _header(file: str, content: bytes | memoryview) -> tuple[tuple[int, ...], np.dtype, int]:
    magic = bytes(content[:4])
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES:
        kind = recognise(content)
        what = f"this is {kind.what}" if kind else "it is empty"
        raise DataError(f"{file}: not an IDX file; {what}", help=kind.fix if kind else "")
    start = 4 + 4 * magic[3]
    if len(content) < start:
        raise DataError(f"{file}: the file ends inside its header of {start} bytes")
    shape = struct.unpack(f">{magic[3]}I", content[4:start])
    return shape, np.dtype(_TYPES[magic[2]]), start


def write_idx(path: FilePath, array: npt.NDArray[np.generic]) -> None:
    """Writes an array as an IDX file, packed if the name ends in .gz; same array, same bytes."""
    codes = {np.dtype(name).newbyteorder("="): code for code, name in _TYPES.items()}
    code = codes.get(array.dtype.newbyteorder("="))
    if code is None:
        raise DataError(f"an IDX file cannot hold {array.dtype}", code="E455")
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    content = head + array.astype(_TYPES[code]).tobytes()
    with atomic_write(path) as stream:
        packed = os.fspath(path).endswith(".gz")
        stream.write(gzip.compress(content, mtime=0) if packed else content)
