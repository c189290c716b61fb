"""`protonet data convert`."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from protonet.cli import main
from protonet.data.datum import read_datums
from protonet.data.idx import read_idx, write_idx
from protonet.data.lmdb_source import LmdbSource

DIGITS = Path(__file__).parents[2] / "models" / "lenet" / "data"
IMAGES = np.arange(5 * 12, dtype=np.uint8).reshape(5, 3, 4)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a small pair of IDX files."""
    write_idx(tmp_path / "images.gz", IMAGES)
    write_idx(tmp_path / "labels", np.array([3, 1, 4, 1, 5], np.uint8))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def convert(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["data", "convert", "idx", *arguments])


def test_idx_files_become_a_database(folder: Path) -> None:
    result = convert("images.gz", "labels", "db")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "db: 5 records of 1×3×4, labels 1 to 5\n"
    with LmdbSource("db") as source:
        reader = source.reader()
        records = reader.read(0, source.count)
        found, _ = read_datums(records)
        assert found["label"].tolist() == [3, 1, 4, 1, 5]
        assert bytes(records[2]).endswith(IMAGES[2].tobytes() + b"\x28\x04")
        assert [reader.key(0), reader.key(4)] == ["00000000", "00000004"]
        reader.close()


def test_a_database_is_replaced_only_with_force(folder: Path) -> None:
    convert("images.gz", "labels", "db")
    again = convert("images.gz", "labels", "db")
    assert again.exit_code == 1
    assert "db exists" in again.stderr
    assert "--force" in again.stderr
    assert convert("--force", "images.gz", "labels", "db").exit_code == 0


def test_a_failure_leaves_nothing_behind(folder: Path) -> None:
    (folder / "cut").write_bytes((folder / "images.gz").read_bytes()[:-12])
    before = sorted(os.listdir())
    assert convert("cut", "labels", "db").exit_code == 1
    assert sorted(os.listdir()) == before


def test_files_that_do_not_belong_together_are_refused(folder: Path) -> None:
    write_idx(folder / "four", np.zeros(4, np.uint8))
    write_idx(folder / "floats", IMAGES.astype(np.float32))
    write_idx(folder / "none", np.zeros((0, 3, 4), np.uint8))
    write_idx(folder / "no_labels", np.zeros(0, np.uint8))
    for images, labels, message in (
        ("images.gz", "four", "images.gz holds 5 images, but four 4 labels"),
        ("labels", "images.gz", "give the file of the images first"),
        ("floats", "labels", "5×3×4 values of float32, not images"),
        ("images.gz", "images.gz", "not N labels"),
        ("none", "no_labels", "none holds no images"),
        ("gone", "labels", "gone"),
    ):
        result = convert(images, labels, "db")
        assert result.exit_code == 1
        assert message in result.stderr
    assert not os.path.exists("db")


def test_the_digits_in_the_repository_are_whole() -> None:
    for name, count in (("train", 8000), ("test", 2000)):
        images = read_idx(DIGITS / f"{name}-images-idx3-ubyte.gz")
        labels = read_idx(DIGITS / f"{name}-labels-idx1-ubyte.gz")
        assert (images.shape, labels.shape) == ((count, 28, 28), (count,))
        shares = np.bincount(labels) / count
        assert len(shares) == 10
        assert 0.08 < shares.min() < shares.max() < 0.12
