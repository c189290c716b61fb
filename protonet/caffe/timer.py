"""Timer: how long something takes."""

from __future__ import annotations

import time

__all__ = ["Timer"]


class Timer:
    """Measures from start() to stop(); `ms` are the milliseconds between, or up to now."""

    def __init__(self) -> None:
        self._start = self._stop = 0
        self._running = False

    def start(self) -> None:
        self._start, self._running = time.perf_counter_ns(), True

    def stop(self) -> None:
        if self._running:
            self._stop, self._running = time.perf_counter_ns(), False

    @property
    def ms(self) -> float:
        end = time.perf_counter_ns() if self._running else self._stop
        return (end - self._start) / 1e6
