"""`protonet extract`."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result
from small_data import numbered

from protonet import read_net
from protonet.cli import main
from protonet.data.datum import datum_bytes
from protonet.data.lmdb_source import LmdbSource
from protonet.data.lmdb_writer import write_lmdb
from protonet.data.scan import scan

IMAGES = np.stack(numbered(4)).astype(np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a net of images, doubled and summed, in batches of two."""
    monkeypatch.chdir(tmp_path)
    with write_lmdb("db") as database:
        for index, image in enumerate(numbered(4)):
            database.put(f"{index:08d}", datum_bytes(image, index))
    Path("net.prototxt").write_text(
        """
        layer { name: "d" type: "Data" top: "data" top: "label"
          data_param { source: "db" backend: LMDB batch_size: 2 } }
        layer { name: "twice" type: "Power" bottom: "data" top: "twice" power_param { scale: 2 } }
        layer { name: "sum" type: "Reduction" bottom: "data" top: "sum"
          reduction_param { axis: 1 } }
        layer { name: "all" type: "Reduction" bottom: "data" top: "all" }"""
    )
    Path("w.caffemodel").write_bytes(read_net("net.prototxt").SerializeToString())
    return tmp_path


def extract(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["extract", "net.prototxt", "w.caffemodel", *arguments])


def test_several_blobs_go_to_data_sets_of_an_hdf5_file() -> None:
    result = extract("twice", "label", "--out", "f.h5", "--iterations", "2")
    assert result.stdout == "f.h5: 4 rows of twice, 3×4×5\nf.h5: 4 rows of label, 1\n"
    with h5py.File("f.h5") as file:
        np.testing.assert_array_equal(file["twice"][...], 2 * IMAGES)
        np.testing.assert_array_equal(file["label"][...], range(4))


@pytest.mark.parametrize(("blob", "rows"), [("twice", 2 * IMAGES), ("sum", IMAGES.sum((1, 2, 3)))])
def test_a_blob_goes_to_a_numpy_file(blob: str, rows: np.ndarray) -> None:
    assert extract(blob, "--out", "f.npy", "--iterations", "2").exit_code == 0
    found = np.load("f.npy")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, rows)
    np.testing.assert_array_equal(np.load("f.npy", mmap_mode="r"), rows)


def test_a_blob_goes_to_a_database_of_floats() -> None:
    assert extract("twice", "--out", "f_lmdb", "--iterations", "2").exit_code == 0
    with LmdbSource("f_lmdb") as source:
        found = [record.image for record in scan(source)]
        reader = source.reader()
        assert reader.key(3) == "0000000003"
        reader.close()
    np.testing.assert_array_equal(np.stack(found), 2 * IMAGES)
    assert "f_lmdb exists" in extract("twice", "--out", "f_lmdb").stderr
    assert extract("sum", "--out", "f_lmdb", "--force").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("twise", "--out", "f.h5"), 'there is no blob "twise"'),
        (("twise", "--out", "f.h5"), 'did you mean "twice"?'),
        (("twice", "--out", "f.csv"), "end it with .h5, .npy or .lmdb"),
        (("twice", "sum", "--out", "f.npy"), "f.npy takes one blob, not 2"),
        (("all", "--out", "f.npy"), 'blob "all" is one number, not rows'),
        (("sum", "--out", "none/f.npy"), "cannot write this file"),
    ],
)
def test_what_cannot_be_is_told(arguments: tuple[str, ...], message: str) -> None:
    before = sorted(os.listdir())
    result = extract(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert sorted(os.listdir()) == before


def test_a_net_that_nothing_feeds_is_refused() -> None:
    net = Path("net.prototxt")
    net.write_text('input: "data" input_shape { dim: 1 dim: 2 }')
    assert "net.prototxt: nothing feeds data" in extract("data", "--out", "f.h5").stderr


def test_a_failure_leaves_the_old_file() -> None:
    for name in ("f.h5", "f.npy"):
        Path(name).write_text("old")
        with write_lmdb("db", replace=True) as database:
            database.put("0", datum_bytes(numbered(1)[0], 0))
            database.put("1", b"\x08")
        assert extract("twice", "--out", name).exit_code == 1
        assert Path(name).read_text() == "old"
