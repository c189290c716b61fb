"""Holding work against a limit of processor time."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["ends_within"]


def ends_within(seconds: float, work: Callable[[], object]) -> bool:
    """Says whether `work` takes less processor time. What takes long because of its input takes
    long again; a second try is for a collection of a whole test run's garbage, say."""
    for _ in range(2):
        start = time.process_time()
        work()
        if time.process_time() - start < seconds:
            return True
    return False
