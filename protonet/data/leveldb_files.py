"""What the files of a LevelDB hold: tables of sorted records, and logs.

CURRENT names the manifest. The manifest is a log of changes from which follows which tables
(NNNNNN.ldb, formerly .sst) are alive on which level, and from which number on logs (NNNNNN.log)
hold records that are in no table yet. Every change of a record has a sequence number: of equal
keys, the last counts. (LevelDB's doc/impl.md, table_format.md, log_format.md)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from protonet.ir.wire import WireError, varint_at

from .leveldb_blocks import masked_checksum, unsnapped
from .records import Record

__all__ = ["Change", "Manifest", "log_changes", "read_manifest", "table_changes"]

_LOG_BLOCK = 1 << 15
_LOG_HEAD = 7  # checksum, 4; size, 2; which part of an entry it is, 1
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_BLOCK_END = 5  # how it is packed, 1; checksum, 4
_FOOTER = 48
_MAGIC = bytes.fromhex("57fb808b247547db")
_SNAPPY = 1
VALUE = 1  # a change's kind; 0: the key was deleted


class Change(NamedTuple):
    """A change of a record; sorted, the last of each key comes first."""

    key: bytes
    order: int  # − sequence number
    kind: int
    value: Record


class Manifest:
    """The files that are alive: for each level, its tables' smallest keys by number."""

    def __init__(self) -> None:
        self.levels: dict[int, dict[int, bytes]] = {}
        self.first_log = self.earlier_log = 0


def read_manifest(data: memoryview) -> Manifest:
    """Reads a manifest. Raises WireError."""
    made = Manifest()
    for entry in _log_entries(data):
        at, end = 0, len(entry)
        while at < end:
            tag, at = varint_at(entry, at, end)
            if tag == 1:  # the name of the order of keys
                name, at = _bytes_at(entry, at, end)
                if bytes(name) != b"leveldb.BytewiseComparator":
                    raise WireError(at, f"its keys are in an order of their own, {bytes(name)!r}")
            elif tag in (2, 3, 4, 9):
                value, at = varint_at(entry, at, end)
                if tag == 2:
                    made.first_log = value
                elif tag == 9:
                    made.earlier_log = value
            elif tag in (5, 6, 7):
                level, at = varint_at(entry, at, end)
                tables = made.levels.setdefault(level, {})
                if tag == 5:  # where compaction goes on
                    _, at = _bytes_at(entry, at, end)
                    continue
                number, at = varint_at(entry, at, end)
                if tag == 6:
                    tables.pop(number, None)
                    continue
                _, at = varint_at(entry, at, end)
                smallest, at = _bytes_at(entry, at, end)
                _, at = _bytes_at(entry, at, end)
                tables[number] = bytes(smallest)
            else:
                raise WireError(at, f"a change of unknown kind {tag}")
    return made


def log_changes(data: memoryview) -> Iterator[Change]:
    """Gives the changes in a log in the order in which they were made. Raises WireError."""
    for entry in _log_entries(data):
        sequence = int.from_bytes(entry[:8], "little")
        at, end = 12, len(entry)
        while at < end:
            kind = entry[at]
            key, at = _bytes_at(entry, at + 1, end)
            value: Record = b""
            if kind == VALUE:
                value, at = _bytes_at(entry, at, end)
            yield Change(bytes(key), -sequence, kind, value)
            sequence += 1


def _log_entries(data: memoryview) -> Iterator[memoryview]:
    """Gives the entries of a log; the last, if it was not written to its end, is none."""
    at = 0
    parts: list[memoryview] = []
    while True:
        left = _LOG_BLOCK - at % _LOG_BLOCK
        if left < _LOG_HEAD:
            at += left
            continue
        if len(data) - at < _LOG_HEAD or not any(data[at : at + _LOG_HEAD]):
            return
        checksum = int.from_bytes(data[at : at + 4], "little")
        size, part = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        at += _LOG_HEAD
        if size > left - _LOG_HEAD:
            raise WireError(at, f"the entry at byte {at} does not end in its block")
        if len(data) - at < size:
            return
        if masked_checksum(data[at - 1 : at + size]) != checksum:
            raise WireError(at, f"the entry at byte {at} has not the checksum it had")
        if part not in (_WHOLE, _FIRST, _MIDDLE, _LAST):
            raise WireError(at, "no entry of a log begins here")
        if part in (_WHOLE, _FIRST):
            parts = []
        parts.append(data[at : at + size])
        at += size
        if part in (_WHOLE, _LAST):
            yield parts[0] if len(parts) == 1 else memoryview(b"".join(parts))


def table_changes(data: memoryview) -> Iterator[Change]:
    """Gives the changes in a table, sorted. Raises WireError."""
    if len(data) < _FOOTER or data[-8:] != _MAGIC:
        raise WireError(len(data), "it has not the end of a table, so it is cut short")
    at = len(data) - _FOOTER
    for _ in range(2):  # the index of blocks follows that of what else there may be
        place, at = varint_at(data, at, len(data))
        size, at = varint_at(data, at, len(data))
    for last, handle in _pairs(_block(data, place, size, "the index of its records")):
        place, at = varint_at(handle, 0, len(handle))
        size, _ = varint_at(handle, at, len(handle))
        until = last[:-8].decode("ascii", "backslashreplace")
        for key, value in _pairs(_block(data, place, size, f"the block of records up to {until}")):
            if len(key) < 8:
                raise WireError(place, "a key is too short")
            sequence = int.from_bytes(key[-8:], "little")
            yield Change(key[:-8], -(sequence >> 8), sequence & 255, value)


def _block(data: memoryview, place: int, size: int, name: str) -> memoryview:
    """Returns a block, unpacked; how it is packed and its checksum follow it."""
    if size + _BLOCK_END > len(data) - place:
        raise WireError(place, f"{name} lies beyond the end")
    block, packing = data[place : place + size], data[place + size]
    checksum = int.from_bytes(data[place + size + 1 : place + size + _BLOCK_END], "little")
    if masked_checksum(data[place : place + size + 1]) != checksum:
        raise WireError(place, f"{name} has not the checksum it had")
    if packing == _SNAPPY:
        return memoryview(unsnapped(block))
    if packing:
        raise WireError(place, f"a block is packed in an unknown way, {packing}")
    return block


def _pairs(block: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Gives keys and values of a block. A key is written as how much it has in common with the
    one before, and the rest."""
    restarts = int.from_bytes(block[-4:], "little")
    at, end = 0, len(block) - 4 * (restarts + 1)
    key = b""
    while at < end:
        common, at = varint_at(block, at, end)
        rest, at = varint_at(block, at, end)
        size, at = varint_at(block, at, end)
        if common > len(key) or rest + size > end - at:
            raise WireError(at, "a record lies beyond its block")
        key = key[:common] + bytes(block[at : at + rest])
        at += rest + size
        yield key, block[at - size : at]


def _bytes_at(data: memoryview, at: int, end: int) -> tuple[memoryview, int]:
    size, at = varint_at(data, at, end)
    if size > end - at:
        raise WireError(at, "it is cut short")
    return data[at : at + size], at + size
