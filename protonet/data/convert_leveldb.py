"""Copying a LevelDB to an LMDB, record by record."""

from __future__ import annotations

from .convert import Progress, no_progress
from .leveldb_source import LevelDbSource
from .lmdb_writer import write_lmdb

__all__ = ["leveldb_to_lmdb"]


def leveldb_to_lmdb(
    source: str, path: str, *, replace: bool = False, progress: Progress = no_progress
) -> int:
    """Makes an LMDB of a LevelDB's records, keys and values as they are; returns their number.

    Raises DataError: E450 it is not there, E451 it cannot be read, E452 it is empty, E455 the
    database cannot be written.
    """
    with LevelDbSource(source) as found:
        count = found.count
        with write_lmdb(path, replace) as database:
            for key, value in progress(found.records(), count):
                database.put(key, bytes(value))
    return count
