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
    Remark,
    SnapshotFailed,
    SnapshotTaken,
    Started,
)
from .outputs import Output

__all__ = ["TextLog", "element_texts", "lines_of", "log_line"]

_MOST_ELEMENTS = 1000  # of one output: a map of scores would fill the disk


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
            yield from _output_lines("    Train net output #", event.outputs)
            yield f"Iteration {event.iteration}, lr = {event.lr:g}"
        case NetTestStarted():
            yield f"Iteration {event.iteration}, Testing net (#{event.net})"
        case NetTested(interrupted=True):
            yield "Test interrupted."
        case NetTested():
            if event.loss is not None:
                yield f"Test loss: {event.loss:g}"
            yield from _output_lines("    Test net output #", event.outputs)
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


def element_texts(output: Output) -> Iterator[str]:
    """Gives a text for each of an output's elements: its value and, if the output has a loss
    weight, its part in the loss; of more than a thousand the first ones only."""
    weight = output.loss_weight
    for value in output.values[:_MOST_ELEMENTS].tolist():
        text = f"{output.name} = {value:g}"
        yield f"{text} (* {weight:g} = {weight * value:g} loss)" if weight else text


def _output_lines(front: str, outputs: list[Output]) -> Iterator[str]:
    """Gives one line for each element of a net's outputs, numbered through."""
    number = 0
    for output in outputs:
        for text in element_texts(output):
            yield f"{front}{number}: {text}"
            number += 1
        left_out = len(output.values) - _MOST_ELEMENTS
        if left_out > 0:
            yield f"    ({left_out} more elements of {output.name})"
            number += left_out
