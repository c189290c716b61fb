"""exp, log, tanh, sigmoid and powers: their error, and what they do at the ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from protonet import kernels

Function = tuple[str, dict[str, Any], Any, tuple[float, float]]
FUNCTIONS: list[Function] = [
    ("exponential", {"factor": 1, "inner": 1}, np.exp, (-87, 88)),
    ("logarithm", {"factor": 1, "scale": 1, "shift": 0}, np.log, (1e-30, 50)),
    ("tanh", {}, np.tanh, (-12, 12)),
    ("sigmoid", {}, lambda x: 1 / (1 + np.exp(-x)), (-80, 80)),
    ("bnll", {}, lambda x: np.logaddexp(0, x), (-80, 80)),
    ("power", {"power": 2.7, "scale": 1, "shift": 0}, lambda x: x ** np.longdouble(2.7), (0, 90)),
    ("power", {"power": -3, "scale": 1, "shift": 0}, lambda x: x ** np.longdouble(-3), (-9, 9)),
]


def run(name: str, x: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    y = np.empty_like(x)
    getattr(kernels, name)(x=x, y=y, n=x.size, **settings)
    return y


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f[0])
def test_the_error_is_below_three_units_in_the_last_place(
    isa: str, function: Function, dtype: type
) -> None:
    name, settings, exact, (low, high) = function
    random = np.random.default_rng(0)
    spread = random.uniform(low, high, 20_001)
    near = np.clip(random.standard_normal(10_000) * 0.3, low, high)
    x = np.concatenate([spread, near]).astype(dtype)
    want = exact(x.astype(np.longdouble))
    units = np.abs(run(name, x, settings) - want) / np.spacing(np.abs(want).astype(dtype))
    assert units.max() < 3 if dtype == np.float32 or name != "bnll" else units.max() < 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ends_and_numbers_that_are_none(isa: str, dtype: type) -> None:
    inf, nan = np.inf, np.nan
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([0, -0.0, inf, -inf, nan, 800, -800, -1, tiny], dtype)
    for name, settings, want in (
        ("exponential", {"factor": 1, "inner": 1}, [1, 1, inf, 0, nan, inf, 0]),
        ("tanh", {}, [0, -0.0, 1, -1, nan, 1, -1]),
        ("sigmoid", {}, [0.5, 0.5, 1, 0, nan, 1, 0]),
        ("logarithm", {"factor": 1, "scale": 1, "shift": 0}, [-inf, -inf, inf, nan, nan]),
        ("power", {"power": -1.5, "scale": 1, "shift": 0}, [inf, inf, 0]),
        ("power", {"power": 5, "scale": 1, "shift": 0}, [0, -0.0, inf, -inf, nan]),
    ):
        got = run(name, x, settings)[: len(want)]
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-300, err_msg=name)
    assert run("logarithm", x, {"factor": 1, "scale": 1, "shift": 0})[8] == pytest.approx(
        np.log(np.longdouble(tiny)), rel=1e-6
    )
