"""Depthwise convolution of planes of any size equals the readable way, and touches nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protonet import kernels


@st.composite
def geometries(draw: st.DrawFn) -> dict[str, Any]:
    taps, step = draw(st.sampled_from([3, 5])), draw(st.sampled_from([1, 2]))
    pad = [draw(st.integers(0, taps)) for _ in range(2)]
    size = [draw(st.integers(max(1, taps - 2 * p), 60)) for p in pad]
    channels = draw(st.integers(1, 9))
    return {
        "n": draw(st.integers(1, 2)), "channels": channels, "group": channels, "axes": 2,
        "outputs": channels * draw(st.sampled_from([1, 1, 2])), "size": size,
        "out": [(s + 2 * p - taps) // step + 1 for s, p in zip(size, pad, strict=True)],
        "kernel": [taps] * 2, "stride": [step] * 2, "pad": pad, "dilation": [1, 1],
    }  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(shape=geometries())
def test_any_plane_equals_the_readable_way(isa: str, shape: dict[str, Any], dtype: type) -> None:
    random = np.random.default_rng(0)
    n, channels, outputs = (shape[k] for k in ("n", "channels", "outputs"))
    inputs, results = n * channels * np.prod(shape["size"]), n * outputs * np.prod(shape["out"])
    beyond = np.full(64, np.nan, dtype)  # what lies around must not be used
    x = np.concatenate([beyond, random.normal(size=inputs).astype(dtype), beyond])
    weight = random.normal(size=(outputs, *shape["kernel"])).astype(dtype)
    bias = random.normal(size=outputs).astype(dtype)
    expected = np.zeros(results, dtype)
    made = np.full(results + 64, 77, dtype)
    values = x[64:]
    kernels.convolution(
        x=values[:inputs].copy(), weight=weight, bias=bias, y=expected, by_columns=1, **shape
    )
    kernels.convolution(x=values, weight=weight, bias=bias, y=made, **shape)
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(made[:results], expected, atol=tolerance * abs(expected).max())
    assert (made[results:] == 77).all()
