"""Products that add, activate and write with gaps as they store, from packed weights or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_stores import ACTIVATIONS, finished, packed_by, with_gaps

from protonet import kernels

CONVOLUTIONS = {  # channels, outputs, size, kernel, stride, pad, group, by_columns
    "1x1": (5, 30, 7, 1, 1, 0, 1, 0),
    "1x1 with stride": (6, 17, 9, 1, 2, 0, 1, 0),
    "3x3": (5, 15, 8, 3, 1, 1, 1, 0),
    "deep": (60, 3, 8, 3, 1, 1, 1, 0),
    "by winograd": (16, 34, 13, 3, 1, 1, 1, 0),
    "groups by winograd": (32, 48, 21, 3, 1, 0, 2, 0),
    "groups": (6, 8, 9, 5, 2, 2, 2, 0),
    "depthwise": (6, 12, 11, 3, 1, 1, 6, 0),
    "depthwise with stride": (4, 4, 11, 3, 2, 1, 4, 0),
    "by columns": (6, 8, 9, 5, 2, 2, 2, 1),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolution_stores_as_told(case: str, activation: str, dtype: type) -> None:
    channels, outputs, size, kernel, stride, pad, group, by_columns = CONVOLUTIONS[case]
    out = (size + 2 * pad - kernel) // stride + 1
    random = np.random.default_rng(1)
    rule = ACTIVATIONS[activation]
    for n, gap, packs, adds in ((1, 0, True, True), (3, 0, False, False), (3, 5, True, True)):
        x = random.normal(size=(n, channels, size, size)).astype(dtype)
        weight = random.normal(size=(outputs, channels // group, kernel, kernel)).astype(dtype)
        bias, slopes = random.normal(size=(2, outputs)).astype(dtype)
        residual = random.normal(size=(n, outputs, out, out)).astype(dtype)
        shape: dict[str, Any] = {
            "n": n, "channels": channels, "outputs": outputs, "group": group, "axes": 2,
            "size": [size] * 2, "out": [out] * 2, "kernel": [kernel] * 2, "stride": [stride] * 2,
            "pad": [pad] * 2, "dilation": [1, 1], "by_columns": by_columns,
        }  # fmt: skip
        plain = np.zeros_like(residual)
        kernels.convolution(x=x, weight=weight, bias=bias, y=plain, **shape)
        expected = finished(plain + residual if adds else plain, rule, slopes)

        store = {**rule, "residual": with_gaps(residual, gap) if adds else None}
        store["slopes"] = slopes if rule.get("slopes") else None
        if gap:
            shape |= {
                "x_image": channels * size * size + gap, "y_image": outputs * out * out + gap,
            }  # fmt: skip
        packed = packed_by(kernels.convolution_pack, {"weight": weight, **shape}, dtype)
        y = with_gaps(np.zeros_like(residual), gap)
        kernels.convolution(
            x=with_gaps(x, gap), weight=weight, bias=bias, y=y, store=store,
            packed=packed if packs else None, **shape,
        )  # fmt: skip
        made = y[:, : y.shape[1] - gap].reshape(residual.shape)
        tolerance = 1e-5 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(made, expected, atol=tolerance * np.abs(plain).max())
        assert (y[:, y.shape[1] - gap :] == 77).all()


@pytest.mark.parametrize("activation", ["none", "relu", "leaky", "relu6"])
@pytest.mark.parametrize("size", [(14, 14), (22, 36), (8, 68)])
def test_a_store_takes_the_greatest_of_each_four(size: tuple[int, int], activation: str) -> None:
    n, channels, outputs, gap = 3, 64, 65, 7
    random = np.random.default_rng(1)
    x = random.normal(size=(n, channels, *size)).astype(np.float32)
    weight = random.normal(size=(outputs, channels, 3, 3)).astype(np.float32)
    bias = random.normal(size=outputs).astype(np.float32)
    shape: dict[str, Any] = {
        "x": x, "weight": weight, "bias": bias, "store": ACTIVATIONS[activation], "n": n,
        "channels": channels, "outputs": outputs, "group": 1, "axes": 2, "size": size,
        "out": size, "kernel": [3, 3], "stride": [1, 1], "pad": [1, 1], "dilation": [1, 1],
    }  # fmt: skip
    told = np.zeros(2, np.int64)
    kernels.convolution_pack(shape=shape, size=told)
    if told[1] not in (kernels.WAY_WINOGRAD, kernels.WAY_STRIPS):
        assert kernels.isa() == "scalar"  # without vectors nothing goes that way
        return
    shape["way"] = told[1]
    shape["packed"] = packed_by(kernels.convolution_pack, shape, np.float32)
    whole = np.zeros((n, outputs, *size), np.float32)
    kernels.convolution(y=whole, **shape)
    rows, columns = size[0] // 2, size[1] // 2
    expected = whole.reshape(n, outputs, rows, 2, columns, 2).max(axis=(3, 5))
    made = with_gaps(np.zeros_like(expected), gap)
    kernels.convolution(y=made, pool=1, y_image=made.shape[1], **shape)
    np.testing.assert_array_equal(made[:, :-gap].reshape(expected.shape), expected)
    assert (made[:, -gap:] == 77).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("m", [1, 2, 5, 16, 32, 40])
@pytest.mark.parametrize("transposed", [False, True])
def test_matmul_stores_as_told(m: int, activation: str, dtype: type, transposed: bool) -> None:
    n, k = 37, 500
    random = np.random.default_rng(2)
    rule = ACTIVATIONS[activation]
    a = random.normal(size=(m, k)).astype(dtype)
    b = random.normal(size=(k, n) if transposed else (n, k)).astype(dtype)
    bias, slopes = random.normal(size=(2, n)).astype(dtype)
    residual = random.normal(size=(m, n)).astype(dtype)
    shape: dict[str, Any] = {
        "a": a, "b": b, "column_bias": bias, "m": m, "n": n, "k": k, "a_row": k, "a_column": 1,
        "b_row": n if transposed else 1, "b_column": 1 if transposed else k, "c_row": n, "beta": 0,
    }  # fmt: skip
    product = a.astype(np.float64) @ (b if transposed else b.T) + bias
    packed = packed_by(kernels.matmul_pack, shape, dtype)
    for packs, adds in ((True, True), (False, True), (True, False)):
        expected = finished(product + residual if adds else product, rule, slopes)
        store = {**rule, "residual": residual if adds else None}
        store["slopes"] = slopes if rule.get("slopes") else None
        made = np.zeros((m, n), dtype)
        kernels.matmul(c=made, store=store, packed=packed if packs else None, **shape)
        tolerance = 1e-5 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(made, expected, atol=tolerance * np.abs(product).max())


def test_what_is_not_finite_stays_visible() -> None:
    """ReLU of NaN is NaN, as Caffe has it, also in the store."""
    x = np.array([[[[np.nan, -1.0, 2.0]]]], np.float32)
    made = np.zeros_like(x)
    kernels.convolution(
        x=x, weight=np.ones((1, 1, 1, 1), np.float32), y=made, store=ACTIVATIONS["relu"], n=1,
        channels=1, outputs=1, group=1, axes=2, size=[1, 3], out=[1, 3], kernel=[1, 1],
        stride=[1, 1], pad=[0, 0], dilation=[1, 1],
    )  # fmt: skip
    np.testing.assert_array_equal(made.ravel(), [np.nan, 0, 2])
