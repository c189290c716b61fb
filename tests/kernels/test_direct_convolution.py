"""Convolution of any geometry equals its readable way, im2col and a product."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from protonet import kernels


@st.composite
def geometries(draw: st.DrawFn) -> dict[str, Any]:
    group = draw(st.sampled_from([1, 1, 1, 2, 3]))
    kernel = [draw(st.integers(1, 5)), draw(st.integers(1, 5))]
    stride = [draw(st.integers(1, 4)), draw(st.integers(1, 4))]
    pad = [draw(st.integers(0, k)) for k in kernel]
    dilation = [draw(st.integers(1, 2)), draw(st.integers(1, 2))]
    out = [draw(st.integers(1, 34)), draw(st.integers(1, 34))]
    spare = [draw(st.integers(0, s - 1)) for s in stride]
    size = [
        max(1, (o - 1) * s + (k - 1) * d + 1 - 2 * p + more)
        for o, s, k, d, p, more in zip(out, stride, kernel, dilation, pad, spare, strict=True)
    ]
    out = [
        (h + 2 * p - (k - 1) * d - 1) // s + 1
        for h, s, k, d, p in zip(size, stride, kernel, dilation, pad, strict=True)
    ]
    return {
        "n": draw(st.integers(1, 3)), "channels": group * draw(st.integers(1, 30)),
        "outputs": group * draw(st.integers(1, 70)), "group": group, "axes": 2, "size": size,
        "out": out, "kernel": kernel, "stride": stride, "pad": pad, "dilation": dilation,
    }  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(geometries(), st.sampled_from([np.float32, np.float64]), st.sampled_from([1, 2]))
def test_any_geometry_equals_the_readable_way(
    shape: dict[str, Any], dtype: type, threads: int
) -> None:
    random = np.random.default_rng(0)
    n, channels, outputs, group = (shape[k] for k in ("n", "channels", "outputs", "group"))
    x = random.normal(size=(n, channels, *shape["size"])).astype(dtype)
    weight = random.normal(size=(outputs, channels // group, *shape["kernel"])).astype(dtype)
    bias = random.normal(size=outputs).astype(dtype)
    made, expected = (np.full((n, outputs, *shape["out"]), np.nan, dtype) for _ in range(2))
    before = kernels.threads()
    kernels.choose_threads(threads)
    try:
        kernels.convolution(x=x, weight=weight, bias=bias, y=made, **shape)
    finally:
        kernels.choose_threads(before)
    kernels.convolution(x=x, weight=weight, bias=bias, y=expected, by_columns=1, **shape)
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(made, expected, atol=tolerance * np.abs(expected).max())
