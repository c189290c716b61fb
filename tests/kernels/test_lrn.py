"""Local response normalisation across channels, on every instruction set."""

from __future__ import annotations

import numpy as np
import pytest

from protonet import kernels


def normalised(x: np.ndarray, size: int, alpha: float, beta: float, k: float) -> np.ndarray:
    """x s^-beta, s = k + alpha / size * Σ x² over `size` channels, in float64."""
    channels, half = x.shape[1], size // 2
    squares = np.pad(x.astype(np.float64) ** 2, ((0, 0), (half, half), (0, 0)))
    sums = sum(squares[:, i : i + channels] for i in range(size))
    return x * (k + alpha / size * sums) ** -beta


def run(
    x: np.ndarray, size: int, alpha: float, beta: float, k: float, in_place: bool = False
) -> np.ndarray:
    x = x.copy()
    y = x if in_place else np.full_like(x, 7)
    kernels.lrn_across(
        x=x, y=y, scale=None, n=x.shape[0], channels=x.shape[1], plane=x.shape[2], size=size,
        alpha=alpha, beta=beta, k=k,
    )  # fmt: skip
    return y


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("beta", [0.75, 0.5, 1.0, 0.6])
@pytest.mark.parametrize("shape", [(2, 7, 100), (1, 40, 33), (1, 1, 5)])
def test_outputs_equal_the_formula(
    isa: str, shape: tuple[int, ...], beta: float, dtype: type, in_place: bool
) -> None:
    x = (np.random.default_rng(0).standard_normal(shape) * 20).astype(dtype)
    expected = normalised(x, 5, 0.3, beta, 1)
    found = run(x, 5, 0.3, beta, 1, in_place)
    np.testing.assert_allclose(found, expected, rtol=8 * np.finfo(dtype).eps, atol=0)


def test_sums_beyond_the_range_of_normal_numbers(isa: str) -> None:
    """Where s is infinite y is 0, where it is 0 or NaN y is NaN, and only there."""
    x = np.full((1, 1, 64), 2, np.float32)
    x[0, 0, [3, 20, 33, 47, 63]] = 1e30, np.nan, 0, -1e30, 0
    expected = np.full(64, 2 * 4**-0.75, np.float32)
    expected[[3, 20, 33, 47, 63]] = 0, np.nan, np.nan, 0, np.nan
    with np.errstate(all="ignore"):
        found = run(x, 1, 1.0, 0.75, 0.0)
    np.testing.assert_allclose(found[0, 0], expected, rtol=1e-6)
