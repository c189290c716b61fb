"""Reading LMDB databases: records in key order, by position, around and around.

An environment may be open only once in a process, so that nets which read one database share
it. Nothing is locked or written: any number of processes may read a database at the same time.
"""

from __future__ import annotations

import os
import threading
from itertools import islice

import lmdb

from .errors import DataError, existing_elsewhere, refuse_locked
from .records import Record

__all__ = ["LmdbReader", "LmdbSource"]

_FILE = "data.mdb"
_SMALL = 8192  # bytes of file per record; such records are copied sooner than lent


class _Shared:
    """An open environment and the number of sources that use it."""

    def __init__(self, environment: lmdb.Environment) -> None:
        self.environment = environment
        self.users = 0


_open: dict[tuple[int, int], _Shared] = {}
_guard = threading.Lock()


class LmdbSource:
    """A database that is open for reading: a folder with data.mdb, or that file itself.

    Raises DataError: E450 it is not there (`missing`), E451 it is cut short or no LMDB,
    E452 it has no records.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._closed = False
        self._file = _data_file(path)
        try:
            with _guard:
                self._shared = self._attach()
        except lmdb.Error as error:
            raise DataError(f"{path}: not a readable LMDB: {_reason(error)}") from None
        try:
            self._judge_size()
        except BaseException:
            self.close()
            raise

    def _attach(self) -> _Shared:
        status = os.stat(self._file)
        self._identity = status.st_dev, status.st_ino
        shared = _open.get(self._identity)
        if shared is None:
            environment = lmdb.open(
                self._file, subdir=False, readonly=True, lock=False, create=False, readahead=True,
            )  # fmt: skip
            shared = _open[self._identity] = _Shared(environment)
        shared.users += 1
        return shared

    def _judge_size(self) -> None:
        """Pages beyond the end of the file would be a bus error, so they are looked for first."""
        environment = self._shared.environment
        stat, last_page = environment.stat(), environment.info()["last_pgno"]
        promised, have = (last_page + 1) * stat["psize"], os.path.getsize(self._file)
        if have < promised:
            raise DataError(
                f"{self.path}: the database is cut short: {promised:,} bytes are in use, "
                f"but {self._file} has {have:,}",
                help="copy or make it again",
            )
        self.count = int(stat["entries"])
        if not self.count:
            raise DataError(f"{self.path}: the database has no records", code="E452")
        self._lends = promised > _SMALL * self.count

    def reader(self) -> LmdbReader:
        """Returns a reader of its own place; each thread needs one."""
        return LmdbReader(self, self._shared.environment, self._lends)

    def close(self) -> None:
        """Lets go of the database; its readers must be closed before."""
        with _guard:
            if self._closed:
                return
            self._closed = True
            self._shared.users -= 1
            if not self._shared.users:
                del _open[self._identity]
                self._shared.environment.close()

    def __enter__(self) -> LmdbSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LmdbReader:
    """Reads records by position. With `lends`, what it returns lies in the database's own memory
    and is valid until the reader is closed; else it is a copy."""

    def __init__(self, source: LmdbSource, environment: lmdb.Environment, lends: bool) -> None:
        self.source = source
        self._transaction = environment.begin(buffers=True) if lends else environment.begin()
        self._cursor = self._transaction.cursor()
        self._at = -1  # the record the cursor is on; −1: none yet

    def read(self, position: int, count: int) -> list[Record]:
        """Returns `count` records from `position` on, starting over after the last.

        Costs a step per record, and one per record skipped since the last call.
        """
        found: list[Record] = []
        try:
            while len(found) < count:
                index = (position + len(found)) % self.source.count
                self._go_to(index)
                wanted = min(count - len(found), self.source.count - index)
                before = len(found)
                found += islice(self._cursor.iternext(keys=False, values=True), wanted)
                self._at = index + wanted - 1
                if len(found) < before + wanted:
                    raise lmdb.Error(f"{self.source.count} records are promised")
        except lmdb.Error as error:
            raise DataError(
                f"{self.source.path}: broken at or after record {self._at}: {_reason(error)}",
                help="copy or make the database again",
            ) from None
        return found

    def key(self, position: int) -> str:
        """Returns the key of a record, for messages."""
        try:
            self._go_to(position % self.source.count)
            return bytes(self._cursor.key()).decode("ascii", "backslashreplace")
        except lmdb.Error:
            return "?"

    def _go_to(self, index: int) -> None:
        """Puts the cursor on that record."""
        if self._at < 0 or index < self._at:
            if not self._cursor.first():
                raise lmdb.Error("the first record cannot be found")
            self._at = 0
        while self._at < index:
            if not self._cursor.next():
                raise lmdb.Error(f"{self.source.count} records are promised")
            self._at += 1

    def close(self) -> None:
        self._cursor.close()
        self._transaction.abort()


def _data_file(path: str) -> str:
    """Returns the file in which the records are; DataError if there is none."""
    refuse_locked(path)
    if os.path.isfile(path):
        return path
    file = os.path.join(path, _FILE)
    if os.path.isfile(file):
        return file
    if os.path.isdir(path):
        if os.path.exists(os.path.join(path, "CURRENT")):
            raise DataError(
                f"{path} is a LevelDB, not an LMDB",
                help="write backend: LEVELDB; or copy it to one, which is read in less time: "
                f"`protonet data convert leveldb {path} {path}_lmdb`",
            )
        raise DataError(f"{path}: the folder has no {_FILE} in it, so it is no LMDB")
    raise DataError(
        f"the database {path or '(no name)'} is not there",
        code="E450",
        help=existing_elsewhere(path)
        or f"make it: `protonet data convert idx IMAGES LABELS {path or 'DB'}`",
        missing=True,
    )


def _reason(error: lmdb.Error) -> str:
    """Returns what py-lmdb says without the path before it and the constant's name."""
    text = str(error).rsplit(": ", 1)[-1]
    return text.strip() or type(error).__name__
