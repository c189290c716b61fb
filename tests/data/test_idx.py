"""Reading and writing IDX files."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from protonet import Error
from protonet.data.idx import read_idx, write_idx

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
CONTENT = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2, 3, 4) + IMAGES.tobytes()


def test_reads_the_layout_of_the_format(tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(CONTENT)
    np.testing.assert_array_equal(read_idx(tmp_path / "images"), IMAGES)


def test_reads_gzip_whatever_the_name(tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(gzip.compress(CONTENT))
    np.testing.assert_array_equal(read_idx(tmp_path / "images"), IMAGES)


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("name", ["array.idx", "array.idx.gz"])
def test_gives_back_what_was_written(tmp_path: Path, dtype: str, name: str) -> None:
    array = np.array([[1, 2, 3], [100, 0, 5]], dtype)
    write_idx(tmp_path / name, array)
    found = read_idx(tmp_path / name)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_writes_the_same_bytes_for_the_same_array(tmp_path: Path) -> None:
    for name in ("a.gz", "b.gz"):
        write_idx(tmp_path / name, IMAGES)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"\x00\x00", "not an IDX file"),
        (b"\x89PNG\r\n\x1a\n0000", "not an IDX file; this is a PNG image"),
        (b"<!DOCTYPE html><html>", "this is a web page"),
        (CONTENT[:10], "the file ends inside its header of 16 bytes"),
        (CONTENT[:-1], "the header promises 2×3×4 values, 24 bytes, but 23 follow"),
        (CONTENT + b"\0", "24 bytes, but 25 follow"),
        (bytes([0, 0, 8, 2]) + b"\xff" * 8, "but 0 follow"),
        (gzip.compress(CONTENT, mtime=0)[:-9], "damaged or cut short"),
        (gzip.compress(CONTENT, mtime=0)[:20] + b"\0" * 30, "damaged or cut short"),
    ],
)
def test_a_broken_or_foreign_file_says_what_it_is(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(Error) as caught:
        read_idx(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(Error, match=r"nowhere.idx"):
        read_idx("nowhere.idx")
