"""Learning-rate policies: the rate as a function of the iteration.

    fixed       base_lr
    step        base_lr · γ^⌊i / stepsize⌋
    exp         base_lr · γ^i
    inv         base_lr · (1 + γ i)^−power
    multistep   base_lr · γ^(number of stepvalues reached)
    poly        base_lr · (1 − i / max_iter)^power
    sigmoid     base_lr / (1 + e^(−γ (i − stepsize)))

i is the iteration, γ the field gamma. (Caffe 1.0)
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from protonet.ir.protonet_pb2 import SolverParameter

__all__ = ["POLICIES", "LearningRate"]


class LearningRate:
    """The rate of a solver, asked once per iteration: `rate(iteration)`.

    `current_step` is how many steps the policies `step` and `multistep` have taken; it is part
    of a snapshot. The solver's message is read anew each time, so that it may be changed while
    the solver runs.
    """

    def __init__(self, param: SolverParameter) -> None:
        self.param = param
        self.current_step = 0

    def __call__(self, iteration: int) -> float:
        """Returns the rate in single precision, as Caffe computes with it.

        Under `multistep` each call takes at most one step: a rate that is asked for again at
        the same iteration, or after a jump over two stepvalues, goes on by one. (Caffe 1.0)
        """
        policy = POLICIES[self.param.lr_policy]
        try:
            factor = policy(self, iteration)
        except (OverflowError, ZeroDivisionError):
            factor = math.inf
        with np.errstate(over="ignore"):
            return float(np.float32(self.param.base_lr * factor))

    def fixed(self, iteration: int) -> float:
        return 1.0

    def step(self, iteration: int) -> float:
        self.current_step = iteration // self.param.stepsize
        return self.param.gamma**self.current_step

    def exp(self, iteration: int) -> float:
        return self.param.gamma**iteration

    def inv(self, iteration: int) -> float:
        return _power(1.0 + self.param.gamma * iteration, -self.param.power)

    def multistep(self, iteration: int) -> float:
        values = self.param.stepvalue
        if self.current_step < len(values) and iteration >= values[self.current_step]:
            self.current_step += 1
        return self.param.gamma**self.current_step

    def poly(self, iteration: int) -> float:
        return _power(1.0 - iteration / self.param.max_iter, self.param.power)

    def sigmoid(self, iteration: int) -> float:
        exponent = -self.param.gamma * (iteration - self.param.stepsize)
        return 1.0 / (1.0 + math.exp(exponent)) if exponent < 700 else 0.0  # e^710 overflows


def _power(base: float, exponent: float) -> float:
    """Returns base^exponent; not a number where that is not real (poly beyond max_iter)."""
    return math.pow(base, exponent) if base >= 0 or exponent.is_integer() else math.nan


POLICIES: dict[str, Callable[[LearningRate, int], float]] = {
    "fixed": LearningRate.fixed,
    "step": LearningRate.step,
    "exp": LearningRate.exp,
    "inv": LearningRate.inv,
    "multistep": LearningRate.multistep,
    "poly": LearningRate.poly,
    "sigmoid": LearningRate.sigmoid,
}
