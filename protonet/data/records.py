"""What databases of either kind give: records in key order, by position, around and around."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Record", "RecordReader", "RecordSource"]

Record = bytes | memoryview


class RecordReader(Protocol):
    """Reads records by position; belongs to one thread."""

    @property
    def source(self) -> RecordSource: ...

    def read(self, position: int, count: int) -> list[Record]:
        """Returns `count` records from `position` on, starting over after the last; they are
        valid until the reader is closed."""
        ...

    def key(self, position: int) -> str:
        """Returns the key of a record that was read last, for messages."""
        ...

    def close(self) -> None: ...


class RecordSource(Protocol):
    """A database that is open for reading."""

    path: str

    @property
    def count(self) -> int:
        """How many records there are, at least one."""
        ...

    def reader(self) -> RecordReader:
        """Returns a reader of its own place; each thread needs one."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> RecordSource: ...

    def __exit__(self, *_: object) -> None: ...
