"""Copying a LevelDB to an LMDB, record by record."""

from __future__ import annotations

import os
from typing import Any

from .convert import Progress, no_progress
from .errors import DataError, existing_elsewhere
from .lmdb_writer import write_lmdb

__all__ = ["leveldb_to_lmdb"]


def leveldb_to_lmdb(
    source: str, path: str, *, replace: bool = False, progress: Progress = no_progress
) -> int:
    """Makes an LMDB of a LevelDB's records, keys and values as they are; returns their number.

    Raises DataError: E450 it is not there, E451 it cannot be read or there is no plyvel to read
    it with, E452 it is empty, E455 the database cannot be written.
    """
    if not os.path.exists(os.path.join(source, "CURRENT")):
        raise DataError(
            f"{source}: there is no LevelDB",
            code="E450",
            help=existing_elsewhere(source) or "it is a folder with a file CURRENT in it",
        )
    plyvel = _plyvel()
    try:
        records = plyvel.DB(source, create_if_missing=False)
    except (plyvel.Error, OSError) as error:
        raise DataError(f"{source}: {error}") from None
    try:
        with write_lmdb(path, replace) as database, records.iterator(include_value=False) as keys:
            count = sum(1 for _ in keys)
            if not count:
                raise DataError(f"{source}: the database has no records", code="E452")
            with records.iterator() as pairs:
                for key, value in progress(pairs, count):
                    database.put(key, value)
    except plyvel.Error as error:
        raise DataError(f"{source}: {error}") from None
    finally:
        records.close()
    return count


def _plyvel() -> Any:
    try:
        import plyvel
    except ImportError:
        raise DataError(
            "plyvel, which reads LevelDB, is not installed",
            help="pip install 'protonet[leveldb]', with a Python from 3.10 to 3.12: "
            "there is no plyvel for later ones",
        ) from None
    return plyvel
