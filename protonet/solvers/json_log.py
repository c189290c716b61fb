"""The log as JSON: one object per line, for each display, test and snapshot.

    {"event": "train", "iteration": 100, "loss": 0.31, "lr": 0.0099, "images_per_second": 3200.5,
     "seconds": 2.1, "outputs": {"loss": 0.31}, "gradient_norm": 0.71, "weight_norm": 9.4,
     "gradient_norms": {"ip1/0": 0.5, "ip1/1": 0.5}, "weight_norms": {"ip1/0": 9.4, "ip1/1": 0.1}}
    {"event": "test", "iteration": 500, "net": 0, "outputs": {"accuracy": 0.97, "loss": 0.09},
     "batches": 100, "seconds": 10.4, "loss": null}
    {"event": "snapshot", "iteration": 500, "model": "…", "state": "…", "seconds": 10.5}

`seconds` are since the log began; an output of several elements is a list (of the first thousand);
what is no finite number is null. Norms are L2, of all parameters and of each, <layer>/<number>: of
an iteration's gradient before it is clipped, and of the weights before its update.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from .events import Displayed, GradientsReady, NetTested, SnapshotTaken
from .norms import joint_norm, norm, parameters
from .outputs import Output

if TYPE_CHECKING:
    from .solver import Solver

__all__ = ["JsonLog"]

_MOST_ELEMENTS = 1000  # of one output


class JsonLog:
    """A listener that writes each display, test and snapshot as a line, at once.

    When the disk is full `warn` is told, once, and training goes on without the lines.
    """

    def __init__(self, solver: Solver, stream: TextIO, warn: Callable[[str], object]) -> None:
        self._solver, self._stream, self._warn = solver, stream, warn
        self._norms: dict[str, Any] = {}  # of the iteration that is displayed next
        self._start = time.perf_counter()
        self._failed = False

    def __call__(self, event: object) -> None:
        row = self._row(event)
        if row is None:
            return
        try:
            self._stream.write(json.dumps(row, allow_nan=False) + "\n")
            self._stream.flush()
        except OSError as error:
            if not self._failed:
                self._warn(f"the JSON log cannot be written: {error.strerror or error}")
            self._failed = True

    def _row(self, event: object) -> dict[str, Any] | None:
        seconds = round(time.perf_counter() - self._start, 3)
        match event:
            case GradientsReady() if self._solver.displays(event.iteration):
                self._norms = self._measured()
            case Displayed():
                row: dict[str, Any] = {"event": "train", "iteration": event.iteration}
                row |= {"loss": _number(event.smoothed_loss), "lr": _number(event.lr)}
                row |= {"images_per_second": round(event.images_per_second, 1)}
                row |= {"seconds": seconds, "outputs": _outputs(event.outputs)}
                row, self._norms = row | self._norms, {}
                return row
            case NetTested(interrupted=False):
                row = {"event": "test", "iteration": event.iteration, "net": event.net}
                row |= {"outputs": _outputs(event.outputs), "batches": event.batches}
                return row | {"seconds": seconds, "loss": _number(event.loss)}
            case SnapshotTaken():
                row = {"event": "snapshot", "iteration": event.iteration}
                return row | {"model": event.model, "state": event.state, "seconds": seconds}
        return None

    def _measured(self) -> dict[str, Any]:
        gradients, weights = {}, {}
        for name, weight, gradient, scale in parameters(self._solver):
            gradients[name], weights[name] = norm(gradient) * scale, norm(weight)
        row: dict[str, Any] = {}
        for kind, norms in (("gradient", gradients), ("weight", weights)):
            row[f"{kind}_norm"] = _number(joint_norm(list(norms.values())))
            row[f"{kind}_norms"] = {name: _number(value) for name, value in norms.items()}
        return row


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _outputs(outputs: list[Output]) -> dict[str, float | list[float | None] | None]:
    found: dict[str, float | list[float | None] | None] = {}
    for output in outputs:
        values = [_number(value) for value in output.values[:_MOST_ELEMENTS].tolist()]
        found[output.name] = values[0] if len(output.values) == 1 else values
    return found
