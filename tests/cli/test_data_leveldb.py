"""`protonet data convert leveldb`."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from protonet.cli import main
from protonet.data.lmdb_source import LmdbSource

RECORDS = [(b"%08d" % index, bytes([index] * 9)) for index in range(5)]


class Database:
    """As much of plyvel.DB as is used; plyvel itself is not there for every Python."""

    def __init__(self, path: str, create_if_missing: bool) -> None:
        assert not create_if_missing
        if (Path(path) / "CURRENT").read_text() == "broken":
            raise OSError("Corruption: CURRENT file does not end with newline")
        self.records = RECORDS if (Path(path) / "CURRENT").read_text() else []

    @contextmanager
    def iterator(self, include_value: bool = True) -> Iterator[Iterator[object]]:
        yield iter(self.records if include_value else [key for key, _ in self.records])

    def close(self) -> None:
        self.records = []


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the folder of a LevelDB, and a plyvel to read it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(
        sys.modules, "plyvel", types.SimpleNamespace(DB=Database, Error=RuntimeError)
    )
    Path("level").mkdir()
    Path("level/CURRENT").write_text("MANIFEST-000002\n")
    return tmp_path


def convert() -> Result:
    return CliRunner().invoke(main, ["data", "convert", "leveldb", "level", "db"])


def test_records_are_copied_as_they_are() -> None:
    result = convert()
    assert (result.exit_code, result.stdout) == (0, "db: 5 records\n")
    with LmdbSource("db") as source:
        reader = source.reader()
        assert [bytes(record) for record in reader.read(0, 5)] == [value for _, value in RECORDS]
        assert [reader.key(i).encode() for i in range(5)] == [key for key, _ in RECORDS]
        reader.close()
    assert "db exists" in convert().stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "level: there is no LevelDB"),
        ("", "level: the database has no records"),
        ("broken", "level: Corruption"),
    ],
)
def test_what_cannot_be_read_is_told(content: str | None, message: str) -> None:
    if content is None:
        os.unlink("level/CURRENT")
    else:
        Path("level/CURRENT").write_text(content)
    result = convert()
    assert result.exit_code == 1
    assert message in result.stderr
    assert not os.path.exists("db")


def test_without_plyvel_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plyvel", None)
    assert "pip install 'protonet[leveldb]'" in convert().stderr
