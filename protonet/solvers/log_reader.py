"""Reading the logs of trainings: our JSON log, our text log, and that of Caffe's own tool.

Codes: E431 a line that is no JSON object, E432 a file without any iteration of a training.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from protonet.ir.files import FilePath, map_file, place
from protonet.prototxt.diagnostics import Diagnostic, Error, Span

__all__ = ["Curve", "TrainingLog", "read_log"]

Curve = dict[int, float]
"""A value by iteration; of an iteration that was run again after a resume the later one."""

_NUMBER = r"([-+]?(?:\d[\d.eE+-]*|nan|inf))"
_LOSS = re.compile(rf"Iteration (\d+)(?: \([^)]*\))?, loss = {_NUMBER}", re.IGNORECASE)
_RATE = re.compile(rf"Iteration (\d+), lr = {_NUMBER}", re.IGNORECASE)
_TEST = re.compile(r"Iteration (\d+), Testing net \(#(\d+)\)")
_OUTPUT = re.compile(rf"(Train|Test) net output #(\d+): (.*?) = {_NUMBER}", re.IGNORECASE)
_TEST_LOSS = re.compile(rf"Test loss: {_NUMBER}", re.IGNORECASE)


@dataclass
class TrainingLog:
    """The curves of one training: smoothed loss, rate, outputs of the training net by name, and
    of each test net by its number and name. An output of several elements has a curve for each,
    named name[0], name[1] …"""

    file: str
    loss: Curve = field(default_factory=dict)
    rate: Curve = field(default_factory=dict)
    train: dict[str, Curve] = field(default_factory=dict)
    tests: dict[int, dict[str, Curve]] = field(default_factory=dict)


def read_log(path: FilePath) -> TrainingLog:
    """Reads a log of any of the three forms; its content tells which.

    A last line that was cut off does not count. Error E310, E431 or E432.
    """
    file = os.fspath(path)
    text = bytes(map_file(path)).decode("utf-8", errors="replace")
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    log = TrainingLog(file)
    if first.lstrip().startswith("{"):
        _read_json(log, lines, ends_whole=text.endswith("\n"))
    else:
        _read_text(log, lines)
    if not (log.loss or log.train or log.tests):
        raise Error(
            Diagnostic(
                "E432", "this is no log of a training: it has no iteration in it", (place(file),),
                help="give what `protonet train` printed or its --log-json, or Caffe's log",
            )
        )  # fmt: skip
    return log


def _read_json(log: TrainingLog, lines: list[str], ends_whole: bool) -> None:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            event, iteration = row.get("event"), int(row.get("iteration", 0))
        except (ValueError, AttributeError, TypeError):
            if number == len(lines) and not ends_whole:
                return
            span = Span(log.file, number, 1, number, len(line) + 1)
            raise Error(Diagnostic("E431", "this line is no JSON object", (span,))) from None
        outputs = row.get("outputs") or {}
        if event == "train":
            _put(log.loss, iteration, row.get("loss"))
            _put(log.rate, iteration, row.get("lr"))
            _put_outputs(log.train, iteration, outputs)
        elif event == "test":
            test = log.tests.setdefault(int(row.get("net", 0)), {})
            _put_outputs(test, iteration, outputs)
            if row.get("loss") is not None:
                _put(test.setdefault("test loss", {}), iteration, row["loss"])


def _put_outputs(curves: dict[str, Curve], iteration: int, outputs: dict[str, object]) -> None:
    for name, value in outputs.items():
        if isinstance(value, list):
            for index, element in enumerate(value):
                _put(curves.setdefault(f"{name}[{index}]", {}), iteration, element)
        else:
            _put(curves.setdefault(name, {}), iteration, value)


def _put(curve: Curve, iteration: int, value: object) -> None:
    curve[iteration] = float(value) if isinstance(value, int | float) else float("nan")


def _read_text(log: TrainingLog, lines: Iterable[str]) -> None:
    """Goes through the lines; outputs belong to the iteration that was named last."""
    iteration, test = 0, 0
    pending: list[tuple[str, str, float]] = []
    for line in lines:
        found = _OUTPUT.search(line)
        if found is not None:
            pending.append((found[1].lower(), found[3], float(found[4])))
            continue
        _place(log, pending, iteration, test)
        if (found := _LOSS.search(line)) is not None:
            iteration = int(found[1])
            log.loss[iteration] = float(found[2])
        elif (found := _RATE.search(line)) is not None:
            log.rate[int(found[1])] = float(found[2])
        elif (found := _TEST.search(line)) is not None:
            iteration, test = int(found[1]), int(found[2])
        elif (found := _TEST_LOSS.search(line)) is not None:
            log.tests.setdefault(test, {}).setdefault("test loss", {})[iteration] = float(found[1])
    _place(log, pending, iteration, test)


def _place(
    log: TrainingLog, pending: list[tuple[str, str, float]], iteration: int, test: int
) -> None:
    """Gives a block of output lines to their curves and empties it."""
    if not pending:
        return
    kind = pending[0][0]
    curves = log.train if kind == "train" else log.tests.setdefault(test, {})
    for name, value in _numbered([(name, value) for _, name, value in pending]):
        curves.setdefault(name, {})[iteration] = value
    pending.clear()


def _numbered(outputs: list[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    """Numbers the elements of outputs that have several."""
    names = [name for name, _ in outputs]
    seen: dict[str, int] = {}
    for name, value in outputs:
        index = seen.get(name, 0)
        seen[name] = index + 1
        yield (f"{name}[{index}]" if names.count(name) > 1 else name), value
