"""The live line of `protonet train` on a terminal: where it is, how fast, how long still.

    lenet   1234/10000  12%  loss 0.0312  lr 0.00926  3120 images/s  0:01:52 left

Tests and snapshots are printed above it and stay.
"""

from __future__ import annotations

import math
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from protonet.solvers.events import (
    Finished,
    IterationDone,
    NetTested,
    NetTestStarted,
    Remark,
    SnapshotFailed,
    SnapshotTaken,
    Started,
)
from protonet.solvers.outputs import Output, images_per_pass

if TYPE_CHECKING:
    from rich.console import Console

    from protonet.solvers.solver import Solver

__all__ = ["LiveLine"]

_REDRAWN_EVERY_S = 0.1
_MOST_ELEMENTS = 10  # of an output of a test
_MEMORY_S = 10.0  # the speed shown is a mean over about this time


class LiveLine:
    """A listener that keeps one line of the terminal current."""

    def __init__(self, solver: Solver, console: Console) -> None:
        from rich.live import Live

        self._solver, self._console = solver, console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._drawn = self._then = time.perf_counter()
        self._count: float | None = None  # of iterations measured, fading
        self._sum_s = 0.0

    def __enter__(self) -> LiveLine:
        self._live.start()
        self._console.show_cursor(True)  # a second Ctrl-C must not leave a terminal without one
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, event: object) -> None:
        match event:
            case IterationDone():
                self._measure()
                self._draw(event)
            case NetTestStarted():
                number = f" {event.net}" if len(self._solver.test_nets) > 1 else ""
                self._show(f"{self._front()}  testing{number} …")
            case NetTested(interrupted=False):
                self._then = time.perf_counter()
                number = f" {event.net}" if len(self._solver.test_nets) > 1 else ""
                loss = "" if event.loss is None else f", test loss {event.loss:g}"
                self._print(
                    f"iteration {event.iteration}: test{number}: {_text(event.outputs)}{loss}"
                )
            case SnapshotTaken():
                self._then = time.perf_counter()
                self._print(f"iteration {event.iteration}: snapshot {event.state}")
            case SnapshotFailed():
                self._print(f"snapshot failed, training goes on: {event.error}")
            case Started() if event.resumed:
                self._print(f"resuming from {event.resumed}")
            case Remark():
                self._print(event.text)
            case Finished():
                self._live.update("", refresh=True)

    def _measure(self) -> None:
        """Takes the last iteration's time into the mean, in which older ones fade; the first,
        which makes buffers and records kernels, does not count."""
        now = time.perf_counter()
        passed, self._then = now - self._then, now
        if self._count is None:
            self._count = 0.0
            return
        fade = math.exp(-passed / _MEMORY_S)
        self._count = fade * self._count + 1
        self._sum_s = fade * self._sum_s + passed

    @property
    def _seconds(self) -> float:
        """The time that an iteration takes."""
        return self._sum_s / self._count if self._count else 0.0

    def _draw(self, done: IterationDone) -> None:
        now = time.perf_counter()
        if now - self._drawn < _REDRAWN_EVERY_S:
            return
        self._drawn = now
        solver = self._solver
        parts = [self._front(), f"loss {done.smoothed_loss:.4g}", f"lr {done.lr:.4g}"]
        images = 0.0
        if self._seconds:
            images = solver.param.iter_size * images_per_pass(solver.net) / self._seconds
        if images:
            parts.append(f"{images:.0f} images/s" if images >= 10 else f"{images:.2g} images/s")
        left = solver.param.max_iter - solver.iter
        if left >= 0 and self._seconds:
            parts.append(f"{timedelta(seconds=round(left * self._seconds))} left")
        self._show("  ".join(parts))

    def _front(self) -> str:
        solver = self._solver
        last = solver.param.max_iter
        share = f"  {100 * solver.iter // last:3d}%" if last else ""
        return f"{solver.net.name}  {solver.iter}/{last}{share}"

    def _show(self, text: str) -> None:
        from rich.text import Text

        self._live.update(Text(text, overflow="ellipsis", no_wrap=True), refresh=True)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _text(outputs: list[Output]) -> str:
    parts = []
    for output in outputs:
        shown = [f"{value:g}" for value in output.values[:_MOST_ELEMENTS].tolist()]
        more = " …" if len(output.values) > _MOST_ELEMENTS else ""
        parts.append(f"{output.name} {' '.join(shown)}{more}")
    return ", ".join(parts)
