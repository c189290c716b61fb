"""Small binary files and database examples: written, read, and refused when they are not that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from protonet.ir.binary import (
    array_datum,
    datum_array,
    read_blob,
    write_blob,
)
from protonet.ir.protonet_pb2 import BlobProto, Datum
from protonet.prototxt import Error


def test_a_mean_comes_back(tmp_path: Path) -> None:
    mean = np.random.default_rng(1).normal(size=(1, 3, 4, 5)).astype(np.float32)
    write_blob(tmp_path / "mean.binaryproto", mean)
    np.testing.assert_array_equal(read_blob(tmp_path / "mean.binaryproto"), mean)


def test_a_mean_with_the_old_axes_is_read(tmp_path: Path) -> None:
    proto = BlobProto(num=1, channels=2, height=1, width=1, data=[3, 4])
    (tmp_path / "mean").write_bytes(proto.SerializeToString())
    np.testing.assert_array_equal(read_blob(tmp_path / "mean"), [[[[3]], [[4]]]])


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "E311"),
        (b"layer {\n", "E311"),
        (BlobProto(data=[1, 2]).SerializeToString()[:-1], "E312"),
        (BlobProto(num=2, data=[1, 2]).SerializeToString(), "E313"),
    ],
)
def test_what_is_no_blob_is_refused(tmp_path: Path, content: bytes, code: str) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(Error, match=code):
        read_blob(tmp_path / "a")


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_an_example_comes_back(dtype: type) -> None:
    image = np.arange(24).astype(dtype).reshape(2, 3, 4)
    datum = array_datum(image, label=9)
    assert datum.label == 9
    back = datum_array(datum)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, image)


def test_an_example_without_a_label_has_none() -> None:
    assert not array_datum(np.zeros((1, 1, 1), np.uint8)).HasField("label")


@pytest.mark.parametrize(
    ("datum", "said"),
    [
        (Datum(channels=1, height=2, width=2, data=b"abc"), "hold 1×2×2 values and holds 3"),
        (Datum(channels=1, height=2, width=2), "holds 0"),
        (Datum(channels=-1, height=-1, width=1, data=b"a"), "-1×-1×1"),
        (Datum(encoded=True, data=b"\x89PNG"), "encoded image"),
    ],
)
def test_an_example_that_contradicts_itself_is_refused(datum: Datum, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        datum_array(datum)
