"""The log in Caffe's words, so that scripts which read Caffe's logs read ours.

    I1123 07:40:53.034821 12345 solver:1] Iteration 100, lr = 0.00992565

The front of a line is glog's: severity, date, time, process, file:line (of which only the form
matters to those scripts).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime

from .events import (
    Displayed,
    Finished,
    NetTested,
    NetTestStarted,
    OutputValue,
    Remark,
    SnapshotFailed,
    SnapshotTaken,
    Started,
)  # fmt: skip

__all__ = ["TextLog", "lines_of", "log_line", "output_lines", "value_text"]


class TextLog:
    """A listener that writes each event as lines of the log."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def __call__(self, event: object) -> None:
        severity = "W" if isinstance(event, SnapshotFailed) else "I"
        for text in lines_of(event):
            self._write(log_line(text, severity))


def log_line(text: str, severity: str = "I") -> str:
    """Puts glog's front before a line."""
    now = datetime.now()
    return f"{severity}{now:%m%d %H:%M:%S.%f} {os.getpid():5d} solver:1] {text}"


def lines_of(event: object) -> Iterator[str]:
    """Gives the lines that Caffe would log for an event, without their front."""
    match event:
        case Started():
            yield f"Solving {event.net_name}"
            yield f"Learning Rate Policy: {event.lr_policy}"
            if event.resumed:
                yield f"Restoring previous solver status from {event.resumed}"
        case Displayed(is_last=True):
            yield f"Iteration {event.iteration}, loss = {event.smoothed_loss:g}"
        case Displayed():
            speed = event.iterations / event.seconds if event.seconds else 0.0
            yield (
                f"Iteration {event.iteration} ({speed:g} iter/s, "
                f"{event.seconds:g}s/{event.interval} iters), loss = {event.smoothed_loss:g}"
            )
            yield from output_lines("    Train net output #", event.outputs)
            yield f"Iteration {event.iteration}, lr = {event.lr:g}"
        case NetTestStarted():
            yield f"Iteration {event.iteration}, Testing net (#{event.net})"
        case NetTested(interrupted=True):
            yield "Test interrupted."
        case NetTested():
            if event.loss is not None:
                yield f"Test loss: {event.loss:g}"
            yield from output_lines("    Test net output #", event.outputs)
        case SnapshotTaken():
            form = "HDF5" if event.model.endswith(".h5") else "binary proto"
            yield f"Snapshotting to {form} file {event.model}"
            yield f"Snapshotting solver state to {form} file {event.state}"
        case SnapshotFailed():
            yield f"Snapshot failed, training goes on: {event.error}"
        case Finished(stopped=True):
            yield "Optimization stopped early."
        case Finished():
            yield "Optimization Done."
        case Remark():
            yield event.text


def output_lines(front: str, outputs: list[OutputValue]) -> Iterator[str]:
    """Gives one line for each element of a net's outputs."""
    for number, output in enumerate(outputs):
        yield f"{front}{number}: {value_text(output)}"


def value_text(output: OutputValue) -> str:
    """Writes an output's value and, if it has a loss weight, its part in the loss."""
    text = f"{output.name} = {output.value:g}"
    if not output.loss_weight:
        return text
    return f"{text} (* {output.loss_weight:g} = {output.loss_weight * output.value:g} loss)"
