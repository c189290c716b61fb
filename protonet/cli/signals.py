"""Signals while a solver runs: Ctrl-C ends it cleanly, a second one at once; SIGHUP saves.

The handler only notes what is wanted: the solver does it when the iteration is done.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["EFFECTS", "signals_to"]

EFFECTS = ("stop", "snapshot", "none")

_STOPPING = b"\nprotonet: stopping after this iteration; once more to stop at once\n"


@contextmanager
def signals_to(
    stop: Callable[[], None], snapshot: Callable[[], None], sigint: str, sighup: str
) -> Iterator[None]:
    """Calls `stop` or `snapshot` on SIGINT and SIGHUP, as their effect says, `stop` on SIGTERM."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    effects = {"SIGINT": sigint, "SIGTERM": "stop", "SIGHUP": sighup}
    before: dict[int, Any] = {}

    def handle(number: int, _: object) -> None:
        effect = effects[signal.Signals(number).name]
        if effect == "snapshot":
            snapshot()
        elif effect == "stop":
            stop()
            for each in before:
                if effects[signal.Signals(each).name] == "stop":
                    signal.signal(each, signal.SIG_DFL)
            os.write(2, _STOPPING)  # not print: the handler may have interrupted one

    for name in effects:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None:
            before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
