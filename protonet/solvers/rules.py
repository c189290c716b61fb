"""Update rules: which kernel, which state and which constants each solver type has.

With g the gradient after clipping, division by iter_size and decay, η = rate · lr_mult,
μ momentum, δ delta:

    SGD        v ← μ v + η g                                          w ← w − v
    Nesterov   v' = μ v + η g                                         w ← w − ((1 + μ) v' − μ v)
    AdaGrad    h ← h + g²                                             w ← w − η g / (√h + δ)
    RMSProp    h ← ρ h + (1 − ρ) g²                 ρ = rms_decay     w ← w − η g / (√h + δ)
    AdaDelta   h ← μ h + (1 − μ) g², u = g √((δ + s) / (δ + h)),
               s ← μ s + (1 − μ) u²                                   w ← w − η u
    Adam       m ← μ m + (1 − μ) g, v ← β v + (1 − β) g²,
               c = √(1 − β^t) / (1 − μ^t)           β = momentum2     w ← w − η c m / (√v + δ)

t counts from 1. Decay is part of g, in Adam too. (Caffe 1.0)

    AdamW      as Adam, but the decay is no part of g: w ← w − η c m / (√v + δ) − η λ w

with λ = weight_decay · decay_mult. (Loshchilov, Hutter, Decoupled Weight Decay
Regularization, 2019)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from protonet.ir.protonet_pb2 import SolverParameter

__all__ = ["RULES", "Rule"]


def _nothing(param: SolverParameter) -> dict[str, float]:
    return {}


def _no_correction(param: SolverParameter, iteration: int) -> float:
    return 1.0


@dataclass(frozen=True)
class Rule:
    """One solver type: its kernel, how many arrays of state it has, and what the kernel gets."""

    kernel: str
    states: int  # arrays per parameter, kept in a snapshot
    constants: Callable[[SolverParameter], dict[str, float]] = _nothing
    correction: Callable[[SolverParameter, int], float] = _no_correction
    momentum: bool = True  # False: the field must be 0
    decoupled: bool = False  # the decay is no part of the gradient


def _momentum(param: SolverParameter) -> dict[str, float]:
    return {"momentum": param.momentum}


def _delta(param: SolverParameter) -> dict[str, float]:
    return {"delta": param.delta}


def _rms_decay(param: SolverParameter) -> dict[str, float]:
    return {"decay": param.rms_decay, "delta": param.delta}


def _momentum_as_decay(param: SolverParameter) -> dict[str, float]:
    return {"decay": param.momentum, "delta": param.delta}


def _two_momenta(param: SolverParameter) -> dict[str, float]:
    return {"momentum": param.momentum, "decay": param.momentum2, "delta": param.delta}


def _bias_correction(param: SolverParameter, iteration: int) -> float:
    t = iteration + 1
    first = 1.0 - math.pow(param.momentum, t)
    return math.sqrt(1.0 - math.pow(param.momentum2, t)) / first if first else math.inf


RULES: dict[str, Rule] = {
    "SGD": Rule("update_sgd", 1, _momentum),
    "Nesterov": Rule("update_nesterov", 1, _momentum),
    "AdaGrad": Rule("update_adagrad", 1, _delta, momentum=False),
    "RMSProp": Rule("update_rmsprop", 1, _rms_decay, momentum=False),
    "AdaDelta": Rule("update_adadelta", 2, _momentum_as_decay),
    "Adam": Rule("update_adam", 2, _two_momenta, _bias_correction),
    "AdamW": Rule("update_adam", 2, _two_momenta, _bias_correction, decoupled=True),
}
