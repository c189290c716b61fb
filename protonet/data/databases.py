"""Opening databases of either kind."""

from __future__ import annotations

from .leveldb_source import LevelDbSource, is_leveldb
from .lmdb_source import LmdbSource
from .records import RecordSource

__all__ = ["open_database"]


def open_database(path: str, leveldb: bool | None = None) -> RecordSource:
    """Opens the LMDB or LevelDB at `path`; None: whichever it is. Raises DataError."""
    if leveldb is None:
        leveldb = is_leveldb(path)
    return LevelDbSource(path) if leveldb else LmdbSource(path)
