"""Records that cannot be read: each an error, unless they are left out, counted and listed."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import DataError

__all__ = ["BadRecords", "bad_records", "stand_ins"]


class BadRecords:
    """What was left out so far, each record once; worker threads add to it as they come by."""

    def __init__(self) -> None:
        self.skipping = False
        """Whether bad records are left out, in all nets of this process."""
        self._found: dict[tuple[str, int], str] = {}

    def leave_out(self, error: DataError, source: str, number: int) -> None:
        """Notes a bad record of a database or list, or raises its error."""
        if not self.skipping:
            raise error
        self._found[source, number] = error.message

    def listed(self) -> list[str]:
        """Returns what is wrong with each, by source in the order of the records."""
        return [message for _, message in sorted(self._found.items())]

    def clear(self) -> None:
        """Forgets them, and skips no more."""
        self.skipping = False
        self._found.clear()


bad_records = BadRecords()


def stand_ins(is_bad: Sequence[bool]) -> list[int] | None:
    """Returns for each record of a batch the next good one, itself if it is good; None if there
    is no good one. A batch keeps its size, and the batches after it their records."""
    if all(is_bad):
        return None
    count = len(is_bad)
    return [
        next(j % count for j in range(i, i + count) if not is_bad[j % count]) for i in range(count)
    ]
