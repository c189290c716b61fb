"""Writing LMDB databases: a new one, whole or not at all, of any size.

What is written for a `plan` can be interrupted: its part stays, hidden beside the database to be,
and is continued by the next writer of the same plan.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping

import lmdb

from .errors import DataError

__all__ = ["LmdbWriter", "Plan", "write_lmdb"]

_RECORDS_PER_TRANSACTION = 1000
_FIRST_MAP_BYTES = 1 << 26
_NEARLY_FULL_BYTES = 1 << 20
_PLAN = "plan.json"

Plan = Mapping[str, object]
"""What a database is made of and how, as JSON can hold it."""


class LmdbWriter:
    """Takes records in the order of their keys and puts them into a database."""

    def __init__(self, folder: str) -> None:
        # Synced once at the end: until then nobody sees the database.
        self._environment = lmdb.open(
            folder, map_size=_FIRST_MAP_BYTES, sync=False, metasync=False, lock=False
        )
        self._waiting: list[tuple[bytes, bytes]] = []
        with self._environment.begin() as transaction, transaction.cursor() as cursor:
            self.last_key = os.fsdecode(bytes(cursor.key())) if cursor.last() else ""
        self.count = int(self._environment.stat()["entries"])
        self.continued = self.count
        """How many records an interrupted writer of the same plan had left."""

    def put(self, key: str | bytes, record: bytes) -> None:
        """Adds a record; its key must come after the last one's."""
        self._waiting.append((os.fsencode(key), record))
        self.count += 1
        if len(self._waiting) == _RECORDS_PER_TRANSACTION:
            self.flush()

    def flush(self) -> None:
        """Puts what waits into the database, where the next writer finds it."""
        while True:
            try:
                with self._environment.begin(write=True) as transaction:
                    for key, record in self._waiting:
                        if not transaction.put(key, record, append=True):
                            raise DataError(f"key {os.fsdecode(key)} comes twice", code="E455")
            except lmdb.MapFullError:
                self._environment.set_mapsize(2 * self._environment.info()["map_size"])
            else:
                self._waiting.clear()
                return

    def finish(self) -> None:
        """Brings everything to the disk."""
        self.flush()
        self._environment.sync(True)

    def close(self) -> None:
        self._environment.close()


@contextlib.contextmanager
def write_lmdb(path: str, replace: bool = False, plan: Plan | None = None) -> Iterator[LmdbWriter]:
    """Gives a writer of the database folder `path`, which is there when the block has ended.

    A block that raises, a full disk or a crash leaves what was there before, and with a plan the
    part that was made. Raises DataError E455 if `path` exists, unless it is a database and
    `replace` is True.
    """
    path = path.rstrip(os.sep) or path
    _judge_place(path, replace)
    parent, name = os.path.split(os.path.abspath(path))
    ending = f"{secrets.token_hex(4)}.tmp" if plan is None else "part"
    folder = os.path.join(parent, f".{name}.{ending}")
    try:
        writer = _writer(folder, plan)
        try:
            yield writer
            writer.finish()
        except BaseException:
            with contextlib.suppress(lmdb.Error, OSError):
                writer.flush()
            raise
        finally:
            writer.close()
        _put_in_place(folder, path)
    except (OSError, lmdb.Error) as error:
        raise DataError(
            f"cannot write {path}: {_reason(error, parent)}",
            code="E455",
            help=f"what is done is kept in {folder}: the same command goes on from there"
            if os.path.exists(os.path.join(folder, _PLAN))
            else "",
        ) from None
    finally:
        if plan is None:
            shutil.rmtree(folder, ignore_errors=True)


def _writer(folder: str, plan: Plan | None) -> LmdbWriter:
    """Returns a writer of this folder, which goes on with what is there of the same plan."""
    text = json.dumps(plan, sort_keys=True)
    file = os.path.join(folder, _PLAN)
    with (
        contextlib.suppress(OSError, UnicodeError, lmdb.Error),
        open(file, encoding="utf-8") as old,
    ):
        if old.read() == text:
            return LmdbWriter(folder)
    if os.path.exists(folder):
        shutil.rmtree(folder)
    os.makedirs(folder)
    if plan is not None:
        with open(file, "w", encoding="utf-8") as new:
            new.write(text)
    return LmdbWriter(folder)


def _reason(error: OSError | lmdb.Error, folder: str) -> str:
    """Returns why a database cannot be written. LMDB calls a write that the disk took only the
    first part of an input/output error."""
    reason = error.strerror if isinstance(error, OSError) else str(error).rsplit(": ", 1)[-1]
    if reason != os.strerror(errno.EIO):
        return str(reason).lower()
    with contextlib.suppress(OSError):
        if shutil.disk_usage(folder).free < _NEARLY_FULL_BYTES:
            return os.strerror(errno.ENOSPC).lower()
    return "not all of it could be written (a limit of file sizes, a quota or a failing disk)"


def _judge_place(path: str, replace: bool) -> None:
    if not os.path.lexists(path):
        return
    if not os.path.isfile(os.path.join(path, "data.mdb")):
        if os.path.isdir(path) and not os.listdir(path):
            return
        raise DataError(f"{path} exists and is no LMDB", code="E455", help="choose another name")
    if not replace:
        raise DataError(
            f"{path} exists", code="E455", help="choose another name, or replace it with --force"
        )


def _put_in_place(folder: str, path: str) -> None:
    """Renames: the file if the folder is there (one step, whoever reads the old one keeps it),
    else the folder."""
    if os.path.isdir(path):
        os.replace(os.path.join(folder, "data.mdb"), os.path.join(path, "data.mdb"))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(path, "lock.mdb"))
        shutil.rmtree(folder)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, _PLAN))
        os.rename(folder, path)
    for changed in (path, os.path.dirname(os.path.abspath(path))):
        descriptor = os.open(changed, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
