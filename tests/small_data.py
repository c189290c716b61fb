"""Small data sets for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from protonet import Net
from protonet.data.leveldb_blocks import masked_checksum

MakeDatabase = Callable[..., str]
MakeNet = Callable[..., Net]


def numbered(count: int, channels: int = 3, height: int = 4, width: int = 5) -> list[np.ndarray]:
    """Images of which each pixel of image i is different from the others', modulo 251."""
    size = channels * height * width
    return [
        ((np.arange(size) + 7 * i) % 251).astype(np.uint8).reshape(channels, height, width)
        for i in range(count)
    ]


def write_leveldb(folder: Path, records: list[tuple[bytes, bytes]]) -> None:
    """Makes a LevelDB of a log only, as a program leaves one that has written little."""
    folder.mkdir()
    (folder / "CURRENT").write_text("MANIFEST-000001\n")
    (folder / "MANIFEST-000001").write_bytes(b"")
    batch = bytearray((1).to_bytes(8, "little") + len(records).to_bytes(4, "little"))
    for key, value in records:
        batch += b"\1" + bytes([len(key)]) + key
        batch += bytes([len(value) & 127 | 128, len(value) >> 7]) + value
    checksum = masked_checksum(b"\1" + batch).to_bytes(4, "little")
    head = checksum + len(batch).to_bytes(2, "little") + b"\1"
    (folder / "000002.log").write_bytes(head + batch)
