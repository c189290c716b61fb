"""Reading LevelDB databases: records in key order, by position, around and around.

Nothing is locked or written, neither is what was left in logs moved to tables: a database that
another program changes meanwhile must not be read. LMDB is read in less time, and says at once
how many records it has.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterator
from itertools import chain
from typing import TypeVar

from protonet.ir.files import map_file
from protonet.ir.wire import WireError
from protonet.prototxt.diagnostics import Error

from .errors import DataError, existing_elsewhere, refuse_locked
from .leveldb_files import VALUE, Change, Manifest, log_changes, read_manifest, table_changes
from .records import Record

__all__ = ["LevelDbReader", "LevelDbSource", "is_leveldb"]

T = TypeVar("T")

_SMALL = 4096  # bytes; smaller records are given as bytes, which are sooner joined than pointed to


def is_leveldb(path: str) -> bool:
    """Says whether a folder is a LevelDB."""
    return os.path.isfile(os.path.join(path, "CURRENT"))


def _order(change: Change) -> tuple[bytes, int]:
    return change.key, change.order


class LevelDbSource:
    """A LevelDB that is open for reading.

    Raises DataError: E450 it is not there (`missing`), E451 it is broken or no LevelDB, E452 it
    has no records.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        refuse_locked(path)
        if not is_leveldb(path):
            raise _none_there(path)
        name = bytes(self._mapped("CURRENT")).decode("utf-8", "replace").strip()
        self._manifest: Manifest = self._told(name, lambda: read_manifest(self._mapped(name)))
        # All changes in logs, sorted; what is in memory here was in memory of who wrote it.
        changes = chain.from_iterable(map(self._log, self._logs()))
        self._recent = sorted(changes, key=_order)
        self.known_count: int | None = None
        if next(self.records(), None) is None:
            raise DataError(f"{path}: the database has no records", code="E452")

    @property
    def count(self) -> int:
        """How many records there are. Costs one pass over all keys, once."""
        if self.known_count is None:
            self.known_count = sum(1 for _ in self.records())
        return self.known_count

    def reader(self) -> LevelDbReader:
        """Returns a reader of its own place; each thread needs one."""
        return LevelDbReader(self)

    def records(self) -> Iterator[tuple[bytes, Record]]:
        """Gives keys and values in the order of the keys. Raises DataError E451."""
        streams: list[Iterator[Change]] = [iter(self._recent)]
        for level, tables in sorted(self._manifest.levels.items()):
            if level == 0:  # these overlap
                streams += [self._table(number) for number in tables]
            else:
                numbers = sorted(tables, key=tables.__getitem__)
                streams.append(chain.from_iterable(map(self._table, numbers)))
        before: bytes | None = None
        for change in heapq.merge(*streams, key=_order):
            if change.key != before:
                before = change.key
                if change.kind == VALUE:
                    yield change.key, change.value

    def _logs(self) -> list[int]:
        """Returns the numbers of the logs that hold what no table holds."""
        found = []
        for name in os.listdir(self.path):
            stem, dot, kind = name.partition(".")
            if dot and kind == "log" and stem.isdigit():
                found.append(int(stem))
        live = self._manifest
        return sorted(n for n in found if n >= live.first_log or n == live.earlier_log)

    def _log(self, number: int) -> list[Change]:
        name = f"{number:06d}.log"
        return self._told(name, lambda: list(log_changes(self._mapped(name))))

    def _table(self, number: int) -> Iterator[Change]:
        """Opens a table when its first record is wanted: there may be more than can be open."""
        names = [f"{number:06d}.{kind}" for kind in ("ldb", "sst")]
        name = next((n for n in names if os.path.exists(os.path.join(self.path, n))), names[0])
        changes = table_changes(self._mapped(name))
        while (change := self._told(name, lambda: next(changes, None))) is not None:
            yield change

    def _mapped(self, name: str) -> memoryview:
        file = os.path.join(self.path, name)
        try:
            return map_file(file)
        except Error as error:
            reason = error.diagnostics[0].message
            raise DataError(f"{file}: {reason}", help="copy the whole folder again") from None

    def _told(self, name: str, read: Callable[[], T]) -> T:
        """Returns what is read from a file; DataError with its name if it is broken."""
        try:
            return read()
        except (WireError, IndexError) as error:
            raise DataError(
                f"{os.path.join(self.path, name)}: broken: {error}",
                help="copy or make the database again",
            ) from None

    def close(self) -> None:
        """A table's file is closed when nobody holds a record of it."""

    def __enter__(self) -> LevelDbSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LevelDbReader:
    """Reads records by position."""

    def __init__(self, source: LevelDbSource) -> None:
        self.source = source
        self._records: Iterator[tuple[bytes, Record]] = iter(())
        self._next = -1  # the record that comes next; −1: none was read yet
        self._keys: dict[int, bytes] = {}  # of what was read last

    def read(self, position: int, count: int) -> list[Record]:
        """Returns `count` records from `position` on, starting over after the last.

        Costs a step per record, and one per record skipped since the last call.
        """
        self._keys = {}
        found: list[Record] = []
        for place in range(position, position + count):
            key, value = self._record(place)
            self._keys[self._next - 1] = key
            found.append(bytes(value) if len(value) <= _SMALL else value)
        return found

    def _record(self, position: int) -> tuple[bytes, Record]:
        while True:
            known = self.source.known_count
            index = position if known is None else position % known
            if not 0 <= self._next <= index:
                self._records, self._next = self.source.records(), 0
            for record in self._records:
                self._next += 1
                if self._next > index:
                    return record
            self.source.known_count, self._next = self._next, -1

    def key(self, position: int) -> str:
        """Returns the key of a record that was read last, for messages."""
        found = self._keys.get(position % self.source.count)
        return "?" if found is None else found.decode("ascii", "backslashreplace")

    def close(self) -> None:
        """Lets go of the table it reads."""
        self._records, self._next = iter(()), -1


def _none_there(path: str) -> DataError:
    """Returns what is wrong with a path where no LevelDB is."""
    if os.path.exists(os.path.join(path, "data.mdb")):
        return DataError(
            f"{path} is an LMDB, not a LevelDB", help="write backend: LMDB; LEVELDB is the default"
        )
    if os.path.exists(path):
        return DataError(f"{path}: there is no file CURRENT in it, so it is no LevelDB")
    return DataError(
        f"the database {path or '(no name)'} is not there",
        code="E450",
        help=existing_elsewhere(path) or "its source is a folder with a file CURRENT in it",
        missing=True,
    )
