"""Writing LMDB databases: a new one, whole or not at all, of any size."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator

import lmdb

from .errors import DataError

__all__ = ["LmdbWriter", "write_lmdb"]

_RECORDS_PER_TRANSACTION = 1000
_FIRST_MAP_BYTES = 1 << 26


class LmdbWriter:
    """Takes records in the order of their keys and puts them into a database."""

    def __init__(self, folder: str) -> None:
        # Synced once at the end: until then nobody sees the database.
        self._environment = lmdb.open(
            folder, map_size=_FIRST_MAP_BYTES, sync=False, metasync=False, lock=False
        )
        self._waiting: list[tuple[bytes, bytes]] = []
        self.count = 0

    def put(self, key: str, record: bytes) -> None:
        """Adds a record; its key must come after the last one's."""
        self._waiting.append((key.encode(), record))
        self.count += 1
        if len(self._waiting) == _RECORDS_PER_TRANSACTION:
            self._flush()

    def _flush(self) -> None:
        while True:
            try:
                with self._environment.begin(write=True) as transaction:
                    for key, record in self._waiting:
                        if not transaction.put(key, record, append=True):
                            raise DataError(f"key {key.decode()} comes twice", code="E455")
            except lmdb.MapFullError:
                self._environment.set_mapsize(2 * self._environment.info()["map_size"])
            else:
                self._waiting.clear()
                return

    def finish(self) -> None:
        """Brings everything to the disk."""
        self._flush()
        self._environment.sync(True)

    def close(self) -> None:
        self._environment.close()


@contextlib.contextmanager
def write_lmdb(path: str, replace: bool = False) -> Iterator[LmdbWriter]:
    """Gives a writer of the database folder `path`, which is there when the block has ended.

    A block that raises, a full disk or a crash leaves what was there before. Raises DataError
    E455 if `path` exists, unless it is a database and `replace` is True.
    """
    path = path.rstrip(os.sep) or path
    _judge_place(path, replace)
    parent = os.path.dirname(os.path.abspath(path))
    folder = os.path.join(parent, f".{os.path.basename(path)}.{secrets.token_hex(4)}.tmp")
    try:
        os.makedirs(folder)
        writer = LmdbWriter(folder)
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()
        _put_in_place(folder, path)
    except (OSError, lmdb.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).rsplit(": ", 1)[-1]
        raise DataError(f"cannot write {path}: {str(reason).lower()}", code="E455") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
    else:
        os.rename(folder, path)
    for changed in (path, os.path.dirname(os.path.abspath(path))):
        descriptor = os.open(changed, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
