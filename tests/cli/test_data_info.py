"""`protonet data mean`, `info` and `verify`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner, Result
from small_data import numbered

from protonet.cli import main
from protonet.data.datum import datum_bytes
from protonet.data.lmdb_writer import write_lmdb
from protonet.data.mean import read_mean
from protonet.ir.protonet_pb2 import BlobProto

IMAGES = numbered(5)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a database, db, of five images with the labels 0 to 2."""
    monkeypatch.chdir(tmp_path)
    make([datum_bytes(image, index // 2) for index, image in enumerate(IMAGES)])
    return tmp_path


def make(records: list[bytes]) -> None:
    with write_lmdb("db", replace=True) as database:
        for index, record in enumerate(records):
            database.put(f"{index:08d}", record)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["data", *arguments])


def test_the_mean_image_is_written_and_its_channels_printed() -> None:
    expected = np.mean(IMAGES, axis=0)
    result = run("mean", "db", "mean.binaryproto")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "mean.binaryproto: mean of 5 images of 3×4×5"
    assert lines[1:] == [f"mean_value: {v:.6g}" for v in expected.mean(axis=(1, 2))]
    np.testing.assert_array_equal(read_mean("mean.binaryproto"), expected.astype(np.float32))
    blob = BlobProto.FromString(Path("mean.binaryproto").read_bytes())
    assert (blob.num, blob.channels, blob.height, blob.width) == (1, 3, 4, 5)
    run("mean", "db", "mean.npy")
    np.testing.assert_array_equal(read_mean("mean.npy"), expected.astype(np.float32))


def test_images_of_two_sizes_have_no_mean() -> None:
    make([datum_bytes(IMAGES[0], 0), datum_bytes(IMAGES[0][:, :3], 0)])
    result = run("mean", "db", "mean.binaryproto")
    assert result.exit_code == 1
    assert "db: record 1 is 3×3×5, but the first 3×4×5" in result.stderr
    assert not Path("mean.binaryproto").exists()


def test_info_counts_sizes_and_labels() -> None:
    lines = run("info", "db").stdout.splitlines()
    assert lines[0] == "db: 5 records (5 raw)"
    assert lines[2].split() == ["3×4×5", "5"]
    assert [line.split()[:2] for line in lines[4:]] == [["0", "2"], ["1", "2"], ["2", "1"]]
    assert lines[4].count("█") == 2 * lines[6].count("█")


def test_the_contact_sheet_shows_images_of_all_the_database() -> None:
    run("info", "db", "--sheet", "sheet.png", "--images", "3")
    sheet = np.asarray(PIL.Image.open("sheet.png"))[:, :, ::-1].transpose(2, 0, 1)
    assert sheet.shape == (3, 14, 16)
    for image, top, left in ((0, 2, 2), (2, 2, 9), (4, 8, 2)):
        np.testing.assert_array_equal(sheet[:, top : top + 4, left : left + 5], IMAGES[image])


def test_verify_lists_bad_records_and_labels() -> None:
    assert run("verify", "db").stdout == "db: 5 ok\n"
    make([datum_bytes(IMAGES[0], -1), b"\x08", datum_bytes(IMAGES[0], 0)])
    result = run("verify", "db", "--classes", "1")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "db: record 0: label -1 is not from 0 to 0",
        'db: record 1 (key "00000001"): this is no Datum',
        "db: 3 records, 2 bad",
    ]
    assert "1 are bad: protonet data verify db" in run("info", "db").stdout


def test_a_database_that_is_cut_short_is_told() -> None:
    file = Path("db") / "data.mdb"
    file.write_bytes(file.read_bytes()[:-4096])
    for command in ("verify", "info", "mean"):
        result = run(command, "db")
        assert result.exit_code == 1
        assert "db: the database is cut short" in result.stderr
