"""`protonet data` with LevelDB databases."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from protonet.cli import main
from protonet.data.leveldb_source import LevelDbSource
from protonet.data.lmdb_source import LmdbSource

GRAY = Path(__file__).parents[1] / "golden" / "layers" / "Data" / "leveldb_gray_leveldb"
LEVEL = Path(__file__).parents[1] / "data" / "level"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["data", *words])


def test_records_are_copied_as_they_are() -> None:
    records = [(key.decode(), bytes(value)) for key, value in LevelDbSource(str(LEVEL)).records()]
    result = run("convert", "leveldb", str(LEVEL), "db")
    assert (result.exit_code, result.stdout) == (0, f"db: {len(records)} records\n")
    with LmdbSource("db") as source:
        reader = source.reader()
        values = [bytes(record) for record in reader.read(0, source.count)]
        assert [(reader.key(i), value) for i, value in enumerate(values)] == records
        reader.close()
    assert "db exists" in run("convert", "leveldb", str(LEVEL), "db").stderr


def test_what_cannot_be_read_is_told_and_nothing_is_made() -> None:
    result = run("convert", "leveldb", "gone", "db")
    assert result.exit_code == 1
    assert "the database gone is not there" in result.stderr
    Path("level").mkdir()
    Path("level/CURRENT").write_text("MANIFEST-000002\n")
    result = run("convert", "leveldb", "level", "db")
    assert result.exit_code == 1
    assert "level/MANIFEST-000002: cannot read this file" in result.stderr
    assert not os.path.exists("db")


def test_they_are_surveyed_verified_and_averaged_where_they_are() -> None:
    assert "leveldb_gray_leveldb: 5 records" in run("info", str(GRAY)).stdout
    assert run("verify", str(GRAY)).exit_code == 0
    assert run("verify", str(LEVEL)).exit_code == 1  # its records are no Datum
    result = run("mean", str(GRAY), "mean.npy")
    assert (result.exit_code, Path("mean.npy").exists()) == (0, True)
