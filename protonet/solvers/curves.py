"""Drawing the curves of trainings with matplotlib."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from protonet.extras import import_extra

from .log_reader import Curve, TrainingLog

__all__ = ["EXTRA", "draw_logs"]

EXTRA = "plot"
_MOST_IN_A_LEGEND = 20


def draw_logs(logs: Sequence[TrainingLog]) -> Any:
    """Returns a matplotlib figure: losses, other outputs of the tests, rate, over iterations.

    A test output that the training net has, too, stands with the losses; runs have a colour each,
    tests are dashed. Error E430 if matplotlib is not there.
    """
    figures = import_extra("matplotlib.figure", EXTRA)
    rows = [list(curves(logs)) for curves in (_losses, _metrics, _rates)]
    titles = [
        (title, row)
        for title, row in zip(("loss", "test", "learning rate"), rows, strict=True)
        if row
    ]
    figure = figures.Figure(figsize=(8, 1 + 2.6 * len(titles)), layout="constrained")
    panels = figure.subplots(len(titles), 1, sharex=True, squeeze=False)[:, 0]
    for panel, (title, row) in zip(panels, titles, strict=True):
        for label, curve, run, style in row:
            iterations = sorted(curve)
            values = [curve[iteration] for iteration in iterations]
            marker = "." if len(iterations) < 50 else ""
            panel.plot(iterations, values, style, marker=marker, color=f"C{run % 10}", label=label)
        panel.set_ylabel(title)
        panel.grid(alpha=0.3)
        if len(row) <= _MOST_IN_A_LEGEND:
            panel.legend(fontsize="small")
    panels[-1].set_xlabel("iteration")
    return figure


Row = tuple[str, Curve, int, str]
"""Label, values, number of the run, style of the line."""


def _losses(logs: Sequence[TrainingLog]) -> Iterator[Row]:
    for run, log in enumerate(logs):
        if log.loss:
            yield _label(logs, run, "training loss"), log.loss, run, "-"
        for number, name, curve in _tests(log):
            if _is_loss(log, name):
                yield _label(logs, run, _test_name(log, number, name)), curve, run, "--"


def _metrics(logs: Sequence[TrainingLog]) -> Iterator[Row]:
    several = len(logs) > 1
    count = 0
    for run, log in enumerate(logs):
        for number, name, curve in _tests(log):
            if not _is_loss(log, name):
                colour = run if several else count
                yield _label(logs, run, _test_name(log, number, name)), curve, colour, "--"
                count += 1


def _rates(logs: Sequence[TrainingLog]) -> Iterator[Row]:
    for run, log in enumerate(logs):
        if log.rate:
            yield _label(logs, run, "lr"), log.rate, run, "-"


def _is_loss(log: TrainingLog, name: str) -> bool:
    return name in log.train or name == "test loss"


def _tests(log: TrainingLog) -> Iterator[tuple[int, str, Curve]]:
    for number, curves in sorted(log.tests.items()):
        for name, curve in curves.items():
            yield number, name, curve


def _test_name(log: TrainingLog, number: int, name: str) -> str:
    front = f"test {number}" if len(log.tests) > 1 else "test"
    return name if name.startswith("test ") else f"{front} {name}"


def _label(logs: Sequence[TrainingLog], run: int, text: str) -> str:
    """Names the run, too, where there are several: by as much of its path as tells them apart."""
    if len(logs) == 1:
        return text
    names = [os.path.basename(log.file) for log in logs]
    name = names[run] if names.count(names[run]) == 1 else logs[run].file
    return f"{name}: {text}"
