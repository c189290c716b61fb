"""Learning-rate policies: the rate as a function of the iteration.

    fixed       base_lr
    step        base_lr · γ^⌊i / stepsize⌋
    exp         base_lr · γ^i
    inv         base_lr · (1 + γ i)^−power
    multistep   base_lr · γ^(number of stepvalues reached)
    poly        base_lr · (1 − i / max_iter)^power
    sigmoid     base_lr / (1 + e^(−γ (i − stepsize)))

i is the iteration, γ the field gamma. (Caffe 1.0)

Beyond Caffe, with w the iterations of the warm-up:

    cosine      min_lr + (base_lr − min_lr) · (1 + cos(π (i − w) / (max_iter − w))) / 2
                (Loshchilov, Hutter, SGDR, 2017; without restarts)
    plateau     base_lr · γ^(number of times that the loss has stopped falling)
    multifixed  stagelr of the first stage with i ≤ stageiter, of the last one after all

Warm-up: in the iterations 0 … w − 1 the rate is warmup_start_lr + (base_lr − warmup_start_lr) i/w
under any policy, whose i counts these iterations too. (Intel's fork; as are plateau, multifixed)
No rate after the warm-up is below min_lr, where that is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from protonet.ir.protonet_pb2 import SolverParameter

__all__ = ["POLICIES", "LearningRate"]


class LearningRate:
    """The rate of a solver, asked once per iteration: `rate(iteration)`.

    `current_step` is how many steps the policies `step`, `multistep` and `plateau` have taken;
    with `minimum_loss` and `last_event` of `plateau` it is part of a snapshot. The solver's
    message is read anew each time, so that it may be changed while the solver runs.
    """

    def __init__(
        self, param: SolverParameter, tell: Callable[[str], object] = lambda text: None
    ) -> None:
        self.param, self._tell = param, tell
        self.current_step = 0
        self.minimum_loss = math.inf  # the lowest smoothed loss so far
        self.last_event = 0  # the iteration where it, or the rate, last fell

    def __call__(self, iteration: int) -> float:
        """Returns the rate in single precision, as Caffe computes with it.

        Under `multistep` each call takes at most one step: a rate that is asked for again at
        the same iteration, or after a jump over two stepvalues, goes on by one. (Caffe 1.0)
        """
        param = self.param
        with np.errstate(over="ignore"):
            if iteration < param.warmup_iter:
                rise = (param.base_lr - param.warmup_start_lr) * iteration / param.warmup_iter
                return float(np.float32(param.warmup_start_lr + rise))
            try:
                exact = POLICIES[param.lr_policy](self, iteration)
            except (OverflowError, ZeroDivisionError):
                exact = math.inf
            rate = float(np.float32(exact))
            return max(rate, param.min_lr) if param.min_lr else rate

    def observe(self, iteration: int, smoothed_loss: float) -> None:
        """Tells `plateau` the loss of an iteration, before its rate is asked for.

        It takes a step when the loss has had no new minimum for plateau_winsize iterations, of
        which there is one number for each step.
        """
        if self.param.lr_policy != "plateau" or iteration < self.param.warmup_iter:
            return
        if smoothed_loss < self.minimum_loss:
            self.minimum_loss, self.last_event = smoothed_loss, iteration
        patience = self.param.plateau_winsize
        if (
            self.current_step < len(patience)
            and iteration >= self.last_event + patience[self.current_step]
        ):
            self.last_event = iteration
            self._take_step("Plateau", iteration)

    def fixed(self, iteration: int) -> float:
        return self.param.base_lr

    def step(self, iteration: int) -> float:
        self.current_step = iteration // self.param.stepsize
        return self._stepped()

    def exp(self, iteration: int) -> float:
        return self.param.base_lr * self.param.gamma**iteration

    def inv(self, iteration: int) -> float:
        return self.param.base_lr * _power(1.0 + self.param.gamma * iteration, -self.param.power)

    def multistep(self, iteration: int) -> float:
        values = self.param.stepvalue
        if self.current_step < len(values) and iteration >= values[self.current_step]:
            self._take_step("MultiStep", iteration)
        return self._stepped()

    def poly(self, iteration: int) -> float:
        left = 1.0 - iteration / self.param.max_iter
        return self.param.base_lr * _power(left, self.param.power)

    def sigmoid(self, iteration: int) -> float:
        exponent = -self.param.gamma * (iteration - self.param.stepsize)
        return self.param.base_lr / (1.0 + math.exp(exponent)) if exponent < 700 else 0.0

    def cosine(self, iteration: int) -> float:
        param = self.param
        length = max(param.max_iter - param.warmup_iter, 1)
        share = min((iteration - param.warmup_iter) / length, 1.0)
        height = (1.0 + math.cos(math.pi * share)) / 2.0
        return param.min_lr + (param.base_lr - param.min_lr) * height

    def plateau(self, iteration: int) -> float:
        return self._stepped()

    def multifixed(self, iteration: int) -> float:
        stages = zip(self.param.stagelr, self.param.stageiter, strict=True)
        rates = (rate for rate, last in stages if iteration <= last)
        return next(rates, self.param.stagelr[-1])

    def _take_step(self, policy: str, iteration: int) -> None:
        self.current_step += 1
        self._tell(f"{policy} Status: Iteration {iteration}, step = {self.current_step}")

    def _stepped(self) -> float:
        return self.param.base_lr * self.param.gamma**self.current_step


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
    "cosine": LearningRate.cosine,
    "plateau": LearningRate.plateau,
    "multifixed": LearningRate.multifixed,
}
