"""Reading and writing LMDB databases."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import lmdb
import pytest
from small_data import MakeDatabase

from protonet import Error
from protonet.data import lmdb_writer
from protonet.data.databases import open_database
from protonet.data.lmdb_source import LmdbSource
from protonet.data.lmdb_writer import write_lmdb


def records_of(path: str, position: int = 0, count: int | None = None) -> list[bytes]:
    with LmdbSource(path) as source:
        reader = source.reader()
        found = [bytes(r) for r in reader.read(position, source.count if count is None else count)]
        reader.close()
    return found


def write(path: str, records: list[bytes], replace: bool = False) -> None:
    with write_lmdb(path, replace) as database:
        for index, record in enumerate(records):
            database.put(f"{index:08d}", record)


def test_records_come_in_the_order_of_their_keys_around_and_around(tmp_path: Path) -> None:
    path = str(tmp_path / "db")
    with lmdb.open(path) as environment, environment.begin(write=True) as transaction:
        for key in (b"c", b"a", b"b"):
            transaction.put(key, key.upper())
    assert records_of(path, 0, 7) == [b"A", b"B", b"C", b"A", b"B", b"C", b"A"]
    assert records_of(path, 3_000_000_001, 2) == [b"B", b"C"]


@pytest.mark.parametrize("leveldb", [None, True, False])
def test_a_folder_that_must_not_be_looked_into_is_not_taken_for_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leveldb: bool | None
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(Error, match=r"the folder .*: permission denied"):
        open_database(str(tmp_path), leveldb)


def test_a_reader_can_go_back(make_database: MakeDatabase) -> None:
    with LmdbSource(make_database([b"0", b"1", b"2"])) as source:
        reader = source.reader()
        assert [bytes(r) for r in reader.read(1, 2)] == [b"1", b"2"]
        assert [bytes(r) for r in reader.read(0, 1)] == [b"0"]
        assert reader.key(2) == "00000002"
        assert [bytes(r) for r in reader.read(1, 1)] == [b"1"]
        reader.close()


def test_one_database_can_be_open_several_times(make_database: MakeDatabase) -> None:
    path = make_database([b"0", b"1"])
    with LmdbSource(path) as first, LmdbSource(path + "/data.mdb") as second:
        readers = [first.reader(), second.reader()]
        assert [bytes(reader.read(1, 1)[0]) for reader in readers] == [b"1", b"1"]
        for reader in readers:
            reader.close()
    with LmdbSource(path) as again:
        assert again.count == 2


def test_reading_leaves_no_traces(make_database: MakeDatabase) -> None:
    path = make_database([b"0"])
    os.chmod(path, 0o555)
    try:
        assert records_of(path) == [b"0"]
        assert os.listdir(path) == ["data.mdb"]
    finally:
        os.chmod(path, 0o755)


def test_a_database_grows_as_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmdb_writer, "_FIRST_MAP_BYTES", 1 << 16)
    records = [bytes([i]) * 5000 for i in range(200)]
    write(str(tmp_path / "db"), records)
    assert records_of(str(tmp_path / "db")) == records


def test_an_existing_database_is_replaced_only_on_demand(make_database: MakeDatabase) -> None:
    path = make_database([b"old"])
    with pytest.raises(Error, match=r"exists[\s\S]*--force"):
        write(path, [b"new"])
    assert records_of(path) == [b"old"]
    write(path, [b"new"], replace=True)
    assert records_of(path) == [b"new"]


def test_whoever_reads_a_replaced_database_goes_on_reading_it(make_database: MakeDatabase) -> None:
    path = make_database([b"old"])
    with LmdbSource(path) as source:
        reader = source.reader()
        write(path, [b"new"], replace=True)
        assert bytes(reader.read(0, 1)[0]) == b"old"
        assert records_of(path) == [b"new"]
        reader.close()


def test_what_is_no_database_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1").write_text("important")
    (tmp_path / "file").write_text("important")
    for name in ("thesis", "file"):
        with pytest.raises(Error, match="exists and is no LMDB"):
            write(str(tmp_path / name), [b"new"], replace=True)
    assert (tmp_path / "thesis" / "chapter1").read_text() == "important"
    assert (tmp_path / "file").read_text() == "important"


def test_an_interrupted_writer_leaves_the_old_database_and_nothing_else(
    make_database: MakeDatabase,
) -> None:
    path = make_database([b"old"])

    def interrupted() -> None:
        with write_lmdb(path, replace=True) as database:
            database.put("0", b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert records_of(path) == [b"old"]
    assert os.listdir(Path(path).parent) == ["db"]


def test_a_full_disk_leaves_the_old_database(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_database([b"old"])

    def full(self: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(lmdb_writer.LmdbWriter, "finish", full)
    with pytest.raises(Error, match=r"cannot write .*: no space left on device"):
        write(path, [b"new"], replace=True)
    assert records_of(path) == [b"old"]
    assert os.listdir(Path(path).parent) == ["db"]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Error, match="cannot write"):
        write(str(tmp_path / "file" / "db"), [b"new"])


def test_a_missing_database_is_named_with_the_command_that_makes_it() -> None:
    with pytest.raises(Error) as caught:
        LmdbSource("no/such_lmdb")
    assert "the database no/such_lmdb is not there" in str(caught.value)
    assert "protonet data convert idx IMAGES LABELS no/such_lmdb" in str(caught.value)


def test_a_database_found_from_a_folder_further_up_tells_where_to_run(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_database([b"0"])
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path / "models")
    with pytest.raises(Error, match=f"run this in {tmp_path}"):
        LmdbSource("db")


@pytest.mark.parametrize("size", [0, 10, 100, 4096, 5000, 8192, 12288])
def test_a_database_that_is_cut_short_is_an_error(make_database: MakeDatabase, size: int) -> None:
    path = make_database([bytes(3000)] * 10)
    file = Path(path) / "data.mdb"
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(Error, match=path):
        LmdbSource(path)


def test_other_files_are_not_taken_for_databases(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello" * 5000)
    (tmp_path / "empty").mkdir()
    (tmp_path / "leveldb").mkdir()
    (tmp_path / "leveldb" / "CURRENT").write_text("MANIFEST-000007")
    for name, message in (
        ("text", "not a readable LMDB: File is not an LMDB file"),
        ("empty", "the folder has no data.mdb in it"),
        ("leveldb", "is a LevelDB, not an LMDB"),
    ):
        with pytest.raises(Error, match=message):
            LmdbSource(str(tmp_path / name))


def test_a_database_without_records_is_an_error(make_database: MakeDatabase) -> None:
    with pytest.raises(Error, match="has no records"):
        LmdbSource(make_database([]))
