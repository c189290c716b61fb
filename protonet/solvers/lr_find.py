"""The range test for a learning rate: a short training whose rate grows from tiny to too large.

L. N. Smith, *Cyclical Learning Rates for Training Neural Networks*, 2017. The loss stays, falls,
and rises again; a good rate is where it falls fastest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from protonet.extras import import_extra

from .curves import EXTRA
from .events import IterationDone

if TYPE_CHECKING:
    from .solver import Solver

__all__ = ["RangeTest", "draw_range_test", "range_test"]

_FIRST, _LAST = 1e-7, 10.0
_BELOW_BASE = 1e-3  # a solver whose own rate is tiny has reasons: begin as far below that one
_PER_DECADE = 20
_FADE = 0.8  # of the mean that smooths the loss
_TOO_LARGE = 4.0  # times the smallest smoothed loss: it has diverged
_SETTLED = 8  # iterations before the mean tells anything


@dataclass(frozen=True)
class RangeTest:
    """What each iteration used and gave: rate, loss, smoothed loss. `suggestion` is the rate at
    which the smoothed loss falls fastest per factor of rate, `lowest` that of its minimum,
    `diverges` where it was too large; None where there is none."""

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float | None
    lowest: float | None
    diverges: float | None


def range_test(solver: Solver) -> RangeTest:
    """Trains with rates from 1e-7 up (or base_lr / 1000, if that is less) to 10, twenty iterations
    to a factor of ten, until the loss diverges.

    The solver's nets and message are no good for anything else afterwards.
    """
    param = solver.param
    first = min(_FIRST, param.base_lr * _BELOW_BASE) if param.base_lr > 0 else _FIRST
    count = math.ceil(_PER_DECADE * math.log10(_LAST / first)) + 1
    param.lr_policy, param.snapshot, param.display = "fixed", 0, 0
    for name in ("warmup_iter", "min_lr", "test_interval", "loss_limit", "gradient_limit"):
        param.ClearField(name)
    solver.watch_numbers = False
    losses: list[float] = []

    @solver.on_iteration
    def note(event: IterationDone) -> None:
        losses.append(event.loss)

    rates: list[float] = []
    smoothed: list[float] = []
    mean, diverges = 0.0, None
    for rate in np.geomspace(first, _LAST, count).tolist():
        param.base_lr = rate
        solver.step(1)
        if solver.stopped:
            break
        mean = _FADE * mean + (1.0 - _FADE) * losses[-1]
        value = mean / (1.0 - _FADE ** len(losses))
        if not math.isfinite(value):
            diverges = rate
            losses.pop()
            break
        rates.append(rate)
        smoothed.append(value)
        if len(smoothed) > _SETTLED and value > _TOO_LARGE * min(smoothed):
            diverges = rate
            break
    suggestion, lowest = _best(rates, smoothed)
    return RangeTest(rates, losses[: len(rates)], smoothed, suggestion, lowest, diverges)


def _best(rates: list[float], smoothed: list[float]) -> tuple[float | None, float | None]:
    """Returns the rates of the steepest fall and of the minimum."""
    end = int(np.argmin(smoothed[_SETTLED:])) + _SETTLED if len(smoothed) > _SETTLED + 2 else 0
    if end < _SETTLED + 2:
        return None, None
    slope = np.gradient(smoothed[_SETTLED : end + 1], np.log(rates[_SETTLED : end + 1]))
    return rates[_SETTLED + int(np.argmin(slope))], rates[end]


def draw_range_test(found: RangeTest) -> Any:
    """Returns a matplotlib figure of loss over rate. Error E430 if matplotlib is not there."""
    figure = import_extra("matplotlib.figure", EXTRA).Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    axes.semilogx(found.rates, found.losses, color="C0", alpha=0.3, label="loss")
    axes.semilogx(found.rates, found.smoothed, color="C0", label="smoothed")
    for rate, label, colour in (
        (found.suggestion, "falls fastest", "C2"),
        (found.lowest, "lowest", "C7"),
        (found.diverges, "diverges", "C3"),
    ):
        if rate is not None:
            axes.axvline(rate, color=colour, linestyle="--", label=f"{label}: {rate:.2g}")
    if found.smoothed:
        low, high = min(found.smoothed), max(found.smoothed[:_SETTLED])
        axes.set_ylim(low - 0.1 * (high - low) - 1e-6, high + 0.5 * abs(high - low) + 1e-6)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure
