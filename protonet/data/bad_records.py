"""Records that cannot be read: each an error, unless they are left out, counted and listed."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import DataError

__all__ = ["BadRecords", "bad_records", "stand_ins"]


class BadRecords:
    """What was left out so far, each record once; worker threads add to it."""

    def __init__(self) -> None:
        self.skipping = False
        """Whether bad records are left out, in all nets of this process."""
        self.found: dict[str, None] = {}

    def leave_out(self, error: DataError) -> None:
        """Notes a bad record, or raises its error."""
        if not self.skipping:
            raise error
        self.found[error.message] = None


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
