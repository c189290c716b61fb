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
    ({"lr_policy": "cosine", "max_iter": 8}, 0, 1.0),
    ({"lr_policy": "cosine", "max_iter": 8}, 2, (1 + math.sqrt(0.5)) / 2),
    ({"lr_policy": "cosine", "max_iter": 8}, 8, 0.0),
    ({"lr_policy": "cosine", "max_iter": 8}, 100, 0.0),
    ({"lr_policy": "cosine", "max_iter": 8, "min_lr": 0.05}, 4, 0.6),
    ({"lr_policy": "cosine", "max_iter": 10, "warmup_iter": 2}, 6, 0.5),
    ({"lr_policy": "poly", "power": 2, "max_iter": 4, "min_lr": 0.1}, 3, 0.4),
    ({"lr_policy": "poly", "power": 2, "max_iter": 4, "warmup_iter": 2}, 1, 0.5),
    ({"lr_policy": "poly", "power": 2, "max_iter": 4, "warmup_iter": 2}, 2, 0.25),
    ({"lr_policy": "fixed", "warmup_iter": 4, "warmup_start_lr": 0.05}, 0, 0.2),
    ({"lr_policy": "fixed", "warmup_iter": 4, "warmup_start_lr": 0.05}, 3, 0.8),
    ({"lr_policy": "multifixed", "stagelr": [0.5, 0.125], "stageiter": [5, 9]}, 5, 2.0),
    ({"lr_policy": "multifixed", "stagelr": [0.5, 0.125], "stageiter": [5, 9]}, 6, 0.5),
    ({"lr_policy": "multifixed", "stagelr": [0.5, 0.125], "stageiter": [5, 9]}, 99, 0.5),
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


def plateau(losses: list[float], **fields: Any) -> list[float]:
    """The rate of each iteration with these smoothed losses."""
    param = SolverParameter(base_lr=1.0, lr_policy="plateau", gamma=0.5, **fields)
    rate, rates = LearningRate(param), []
    for iteration, loss in enumerate(losses):
        rate.observe(iteration, loss)
        rates.append(rate(iteration))
    return rates


def test_plateau_lowers_the_rate_when_the_loss_has_not_fallen_for_long_enough() -> None:
    rates = plateau([5, 4, 4, 4, 4, 4, 3, 3, 3], plateau_winsize=[2, 3])
    assert rates == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert plateau([4] * 8, plateau_winsize=[2, 3]) == [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_plateau_takes_no_more_steps_than_it_has_numbers_and_stays_above_min_lr() -> None:
    assert plateau([4] * 5, plateau_winsize=[1])[-1] == 0.5
    assert plateau([4] * 5, plateau_winsize=[1, 1, 1], min_lr=0.375)[-1] == 0.375


def test_plateau_does_not_count_during_the_warm_up() -> None:
    assert plateau([1, 2, 2, 2, 2, 2], plateau_winsize=[2], warmup_iter=3)[3:] == [1, 1, 0.5]


def test_a_step_is_told() -> None:
    told: list[str] = []
    param = SolverParameter(base_lr=1, lr_policy="multistep", gamma=0.5, stepvalue=[3])
    rate = LearningRate(param, told.append)
    rate(2)
    assert told == []
    rate(3)
    assert told == ["MultiStep Status: Iteration 3, step = 1"]
