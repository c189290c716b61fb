"""Each update rule against its formula, written in float64 numpy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.protonet_pb2 import SolverParameter
from protonet.solvers.rules import RULES
from protonet.solvers.update import Updater

SHAPES = [(3, 5), (70_001,), (2, 8192), ()]


def reference(param: SolverParameter, t: int, w, g, first, second, lr):
    """Returns change, first, second by the rule's formula."""
    mu, beta, rho, delta = param.momentum, param.momentum2, param.rms_decay, param.delta
    if param.type == "SGD":
        first = mu * first + lr * g
        return first, first, second
    if param.type == "Nesterov":
        new = mu * first + lr * g
        return (1 + mu) * new - mu * first, new, second
    if param.type == "AdaGrad":
        first = first + g * g
        return lr * g / (np.sqrt(first) + delta), first, second
    if param.type == "RMSProp":
        first = rho * first + (1 - rho) * g * g
        return lr * g / (np.sqrt(first) + delta), first, second
    if param.type == "AdaDelta":
        first = mu * first + (1 - mu) * g * g
        move = g * np.sqrt((delta + second) / (delta + first))
        return lr * move, first, mu * second + (1 - mu) * move * move
    first = mu * first + (1 - mu) * g
    second = beta * second + (1 - beta) * g * g
    correction = np.sqrt(1 - beta**t) / (1 - mu**t)
    return lr * correction * first / (np.sqrt(second) + delta), first, second


def a_net(dtype: type = np.float64, seed: int = 0) -> Any:
    """Stands for a Net: parameters with random values and gradients."""
    random = np.random.default_rng(seed)
    blobs = [Blob(shape, dtype) for shape in SHAPES]
    for blob in blobs:
        blob.data[...] = random.normal(size=blob.shape)
        blob.diff[...] = random.normal(size=blob.shape)
    return SimpleNamespace(
        dtype=np.dtype(dtype), learnable_params=blobs,
        params_lr=[1.0, 2.0, 0.5, 0.0], params_weight_decay=[1.0, 0.0, 2.0, 1.0],
    )  # fmt: skip


def a_solver(rule: str, **fields: Any) -> SolverParameter:
    param = SolverParameter(type=rule, weight_decay=0.1, delta=1e-4, rms_decay=0.9, **fields)
    if RULES[rule].momentum:
        param.momentum = 0.75
    return param


@pytest.mark.parametrize(
    ("rule", "regularization"),
    [(rule, "L2") for rule in RULES] + [(r, "L1") for r in RULES if not RULES[r].decoupled],
)
def test_a_rule_does_what_its_formula_says(rule: str, regularization: str) -> None:
    param = a_solver(rule, regularization_type=regularization, iter_size=2)
    net = a_net()
    updater = Updater(net, param)
    random = np.random.default_rng(1)
    weights = [blob.data.copy() for blob in net.learnable_params]
    first = [np.zeros(shape) for shape in SHAPES]
    second = [np.zeros(shape) for shape in SHAPES]
    for iteration in range(3):
        gradients = [random.normal(size=shape) for shape in SHAPES]
        for blob, gradient in zip(net.learnable_params, gradients, strict=True):
            blob.diff[...] = gradient
        assert updater.run(0.3, iteration, keep_change=True)
        for i, blob in enumerate(net.learnable_params):
            decay = param.weight_decay * net.params_weight_decay[i]
            pull = weights[i] if regularization == "L2" else np.sign(weights[i])
            is_decoupled = RULES[rule].decoupled
            g = gradients[i] / 2 + (0 if is_decoupled else decay * pull)
            lr = 0.3 * net.params_lr[i]
            change, first[i], second[i] = reference(
                param, iteration + 1, weights[i], g, first[i], second[i], lr
            )
            change = change + (lr * decay * weights[i] if is_decoupled else 0)
            weights[i] = weights[i] - change
            np.testing.assert_allclose(blob.data, weights[i], rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(blob.diff, change, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(updater.history[i], first[i], rtol=1e-9, atol=1e-12)
            if RULES[rule].states > 1:
                stored = updater.history[len(SHAPES) + i]
                np.testing.assert_allclose(stored, second[i], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_an_update_has_the_same_bits_for_any_number_of_threads(rule: str) -> None:
    results = []
    before = kernels.threads()
    try:
        for threads in (1, 2, 3):
            kernels.choose_threads(threads)
            net = a_net(np.float32)
            updater = Updater(net, a_solver(rule, clip_gradients=5.0))
            for iteration in range(2):
                updater.run(0.3, iteration, keep_change=True)
            results.append([blob.data.tobytes() for blob in net.learnable_params])
    finally:
        kernels.choose_threads(before)
    assert results[0] == results[1] == results[2]


def test_the_accumulated_gradient_is_clipped_before_it_is_divided() -> None:
    net = a_net()
    norm = np.sqrt(sum(float((blob.diff**2).sum()) for blob in net.learnable_params))
    gradients = [blob.diff.copy() for blob in net.learnable_params]
    updater = Updater(net, SolverParameter(type="SGD", clip_gradients=4.0, iter_size=2))
    updater.run(1.0, 0, keep_change=True)
    assert updater.gradient_norm == pytest.approx(norm)
    for i, blob in enumerate(net.learnable_params):
        wanted = gradients[i] * (4.0 / norm) / 2 * net.params_lr[i]
        np.testing.assert_allclose(blob.diff, wanted, rtol=1e-12)


def test_a_gradient_within_the_limit_is_left_alone() -> None:
    net = a_net()
    gradients = [blob.diff.copy() for blob in net.learnable_params]
    Updater(net, SolverParameter(type="SGD", clip_gradients=1e9)).run(1.0, 0, keep_change=True)
    np.testing.assert_array_equal(net.learnable_params[0].diff, gradients[0])


def test_gradients_are_zero_after_the_update_unless_the_change_is_asked_for() -> None:
    net = a_net()
    updater = Updater(net, a_solver("SGD"))
    updater.run(1.0, 0, keep_change=False)
    assert not any(blob.diff.any() for blob in net.learnable_params)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rule", RULES)
def test_an_update_that_breaks_a_weight_says_so(rule: str, bad: float) -> None:
    net = a_net(np.float32)
    net.learnable_params[1].diff[69_999] = bad
    updater = Updater(net, a_solver(rule))
    assert not updater.run(0.1, 0, keep_change=False)


def test_a_constant_that_is_changed_between_updates_counts() -> None:
    net = a_net()
    param = a_solver("SGD")
    param.weight_decay = 0
    updater = Updater(net, param)
    updater.run(1.0, 0, keep_change=False)
    before = updater.history[0].copy()
    param.momentum = 0.5
    updater.run(1.0, 1, keep_change=True)
    np.testing.assert_allclose(updater.history[0], 0.5 * before)


def test_a_limit_for_the_gradient_has_its_norm_taken_and_leaves_it_alone() -> None:
    net, limited = a_net(), a_net()
    norm = np.sqrt(sum(float((blob.diff**2).sum()) for blob in net.learnable_params))
    Updater(net, SolverParameter(iter_size=2)).run(1.0, 0, keep_change=True)
    updater = Updater(limited, SolverParameter(iter_size=2, gradient_limit=1e-3))
    updater.run(1.0, 0, keep_change=True)
    assert updater.gradient_norm == pytest.approx(norm)
    for blob, other in zip(net.learnable_params, limited.learnable_params, strict=True):
        np.testing.assert_array_equal(blob.diff, other.diff)
