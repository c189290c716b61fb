"""Learning-rate policies by their formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from protonet.ir.protonet_pb2 import SolverParameter
from protonet.solvers.policies import LearningRate

CASES: list[tuple[dict[str, Any], int, float]] = [
    ({"lr_policy": "fixed"}, 1000, 1.0),
    ({"lr_policy": "step", "gamma": 0.5, "stepsize": 10}, 9, 1.0),
    ({"lr_policy": "step", "gamma": 0.5, "stepsize": 10}, 10, 0.5),
    ({"lr_policy": "step", "gamma": 0.5, "stepsize": 10}, 35, 0.125),
    ({"lr_policy": "exp", "gamma": 0.5}, 3, 0.125),
    ({"lr_policy": "inv", "gamma": 0.5, "power": 2}, 2, 0.25),
    ({"lr_policy": "poly", "power": 2, "max_iter": 4}, 2, 0.25),
    ({"lr_policy": "poly", "power": 2, "max_iter": 4}, 4, 0.0),
    ({"lr_policy": "sigmoid", "gamma": 0.5, "stepsize": 8}, 8, 0.5),
    ({"lr_policy": "sigmoid", "gamma": 0.5, "stepsize": 8}, 12, 1 / (1 + math.exp(-2))),
    ({"lr_policy": "sigmoid", "gamma": 10, "stepsize": 8000}, 0, 0.0),
    ({"lr_policy": "exp", "gamma": 10}, 10**6, math.inf),
]


@pytest.mark.parametrize(("fields", "iteration", "factor"), CASES)
def test_a_policy_does_what_its_formula_says(
    fields: dict[str, Any], iteration: int, factor: float
) -> None:
    rate = LearningRate(SolverParameter(base_lr=0.25, **fields))
    assert rate(iteration) == pytest.approx(0.25 * factor, rel=1e-6)


def test_the_rate_is_rounded_to_single_precision() -> None:
    rate = LearningRate(SolverParameter(base_lr=0.1, lr_policy="exp", gamma=0.9))(7)
    assert rate == float(np.float32(rate))


def test_multistep_takes_one_step_per_evaluation() -> None:
    param = SolverParameter(
        base_lr=1.0, lr_policy="multistep", gamma=0.5, stepvalue=[10, 20, 20, 30]
    )
    rate = LearningRate(param)
    assert [rate(i) for i in (0, 9)] == [1, 1]
    assert [rate(i) for i in (10, 11)] == [0.5, 0.5]
    assert [rate(i) for i in (20, 20, 20)] == [0.25, 0.125, 0.125], "one step each time"
    assert [rate(i) for i in (100, 101)] == [0.0625, 0.0625], "no more stepvalues"


def test_multistep_catches_up_one_step_at_a_time_after_a_jump() -> None:
    param = SolverParameter(base_lr=1.0, lr_policy="multistep", gamma=0.5, stepvalue=[1, 2, 3])
    rate = LearningRate(param)
    assert [rate(50), rate(51), rate(52), rate(53)] == [0.5, 0.25, 0.125, 0.125]


def test_a_changed_message_changes_the_rate() -> None:
    param = SolverParameter(base_lr=1.0, lr_policy="fixed")
    rate = LearningRate(param)
    param.base_lr = 0.5
    assert rate(3) == 0.5
