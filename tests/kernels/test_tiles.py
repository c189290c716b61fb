"""Products by AMX tiles, as plans allow them: what they store, and how far they may be off."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from kernel_stores import ACTIVATIONS, finished, packed_by, with_gaps

from protonet import kernels

pytestmark = pytest.mark.skipif(kernels.isa() != "amx", reason="needs a processor with AMX")

TILED = (kernels.WAY_TILES, kernels.WAY_STRIPS, kernels.WAY_LINES)
WITHIN = 1e-5  # of the largest value: a factor keeps 16 bits of its 24

SHAPES = {  # channels, outputs, size, kernel, stride, pad, dilation, group
    "pointwise": (70, 90, (11, 13), (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "pointwise, deep": (530, 33, (7, 7), (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "pointwise, wide": (64, 600, (9, 20), (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "pointwise with stride": (90, 130, (14, 15), (1, 1), (2, 2), (0, 0), (1, 1), 1),
    "strips": (62, 80, (14, 14), (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "strips, odd channels": (63, 97, (30, 30), (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "strips in groups": (96, 128, (13, 13), (5, 5), (1, 1), (2, 2), (1, 1), 2),
    "strips, dilated": (64, 64, (20, 19), (3, 3), (1, 1), (2, 2), (2, 2), 1),
    "strips, wide border": (64, 64, (6, 5), (3, 1), (1, 1), (3, 2), (1, 1), 1),
    "strips without border": (64, 48, (12, 9), (3, 4), (1, 1), (0, 0), (1, 1), 1),
    "strips, many outputs": (32, 560, (8, 8), (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "lines with stride": (3, 40, (37, 38), (7, 7), (2, 2), (3, 3), (1, 1), 1),
    "lines with long stride": (3, 96, (63, 79), (11, 11), (4, 4), (0, 0), (1, 1), 1),
    "lines with odd stride": (2, 48, (50, 62), (5, 4), (1, 3), (2, 1), (1, 1), 1),
    "lines": (3, 64, (21, 33), (5, 5), (1, 1), (2, 2), (1, 1), 1),
    "lines, dilated": (5, 96, (40, 45), (3, 5), (2, 2), (2, 4), (2, 3), 1),
    "lines, many channels": (64, 160, (33, 35), (3, 3), (2, 2), (1, 1), (1, 1), 1),
    "columns": (64, 160, (15, 15), (3, 3), (2, 2), (1, 1), (1, 1), 1),
    "columns over three axes": (48, 160, (5, 6, 7), (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), 1),
    "columns over one axis": (96, 160, (77,), (3,), (1,), (1,), (1,), 1),
}  # fmt: skip


def problem(name: str, n: int) -> tuple[dict[str, Any], np.ndarray]:
    """Returns a convolution of random values, and what it gives in float64."""
    channels, outputs, size, kernel, stride, pad, dilation, group = SHAPES[name]
    spaces = zip(size, kernel, stride, pad, dilation, strict=True)
    out = tuple((h + 2 * p - d * (f - 1) - 1) // s + 1 for h, f, s, p, d in spaces)
    random = np.random.default_rng(3)
    x = random.normal(size=(n, channels, *size)).astype(np.float32)
    w = random.normal(size=(outputs, channels // group, *kernel)).astype(np.float32)
    bias = random.normal(size=outputs).astype(np.float32)
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *[(p, p) for p in pad]])
    y = np.zeros((n, outputs, *out)) + bias.reshape(1, -1, *[1] * len(out))
    for tap in itertools.product(*[range(f) for f in kernel]):
        where = tuple(
            slice(t * d, t * d + (o - 1) * s + 1, s)
            for t, d, o, s in zip(tap, dilation, out, stride, strict=True)
        )
        for g in range(group):
            ins = slice(g * channels // group, (g + 1) * channels // group)
            outs = slice(g * outputs // group, (g + 1) * outputs // group)
            seen = padded[(slice(None), ins, *where)]
            y[:, outs] += np.einsum("oc,nc...->no...", w[(outs, slice(None), *tap)], seen)
    shape = {
        "x": x, "weight": w, "bias": bias, "n": n, "channels": channels, "outputs": outputs,
        "group": group, "axes": len(size), "size": size, "out": out, "kernel": kernel,
        "stride": stride, "pad": pad, "dilation": dilation, "tiles": 1,
    }  # fmt: skip
    return shape, y


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", SHAPES)
def test_convolution_by_tiles_stores_as_told(name: str, activation: str) -> None:
    rule = ACTIVATIONS[activation]
    for n, gap, adds in ((1, 0, False), (3, 5, True), (5, 0, False)):
        shape, product = problem(name, n)
        random = np.random.default_rng(4)
        residual = random.normal(size=product.shape).astype(np.float32)
        slopes = random.normal(size=product.shape[1]).astype(np.float32)
        told = np.zeros(2, np.int64)
        kernels.convolution_pack(shape=shape, size=told)
        assert told[1] in TILED or n == 1
        store = {**rule, "residual": with_gaps(residual, gap) if adds else None}
        store["slopes"] = slopes if rule.get("slopes") else None
        x = shape.pop("x")
        y = with_gaps(np.zeros_like(residual), gap)
        packed = packed_by(kernels.convolution_pack, shape, np.float32)
        kernels.convolution(
            x=with_gaps(x, gap), y=y, store=store, packed=packed, x_image=x[0].size + gap,
            y_image=product[0].size + gap, **shape,
        )  # fmt: skip
        expected = finished(product + residual if adds else product, rule, slopes)
        made = y[:, : y.shape[1] - gap].reshape(product.shape)
        scale = max(np.abs(product).max(), np.abs(expected).max())
        np.testing.assert_allclose(made, expected, rtol=0, atol=WITHIN * scale)
        assert (y[:, y.shape[1] - gap :] == 77).all()


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("n", [1, 4])
def test_bits_do_not_depend_on_the_team(name: str, n: int) -> None:
    shape, product = problem(name, n)
    packed = packed_by(kernels.convolution_pack, shape, np.float32)
    made, before = [], kernels.threads()
    for threads in (1, 2, 3):
        kernels.choose_threads(threads)
        made.append(np.zeros(product.shape, np.float32))
        kernels.convolution(y=made[-1], packed=packed, **shape)
    kernels.choose_threads(before)
    np.testing.assert_array_equal(made[0], made[1])
    np.testing.assert_array_equal(made[0], made[2])


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    ("m", "n", "k"), [(70, 130, 300), (100, 64, 31), (33, 1000, 512), (300, 40, 90)]
)
def test_matmul_by_tiles_stores_as_told(m: int, n: int, k: int, transposed: bool) -> None:
    random = np.random.default_rng(5)
    a = random.normal(size=(m, k)).astype(np.float32)
    b = random.normal(size=(k, n) if transposed else (n, k)).astype(np.float32)
    bias, slopes = random.normal(size=(2, n)).astype(np.float32)
    c = random.normal(size=(m, n)).astype(np.float32)
    product = a.astype(np.float64) @ (b if transposed else b.T) + bias + 0.5 * c
    shape: dict[str, Any] = {
        "a": a, "b": b, "column_bias": bias, "m": m, "n": n, "k": k, "a_row": k, "a_column": 1,
        "b_row": n if transposed else 1, "b_column": 1 if transposed else k, "c_row": n,
        "beta": 0.5, "tiles": 1,
    }  # fmt: skip
    rule = ACTIVATIONS["prelu"]
    packed = packed_by(kernels.matmul_pack, shape, np.float32)
    kernels.matmul(c=c, store={**rule, "slopes": slopes}, packed=packed, **shape)
    expected = finished(product, rule, slopes)
    scale = max(np.abs(product).max(), np.abs(expected).max())
    np.testing.assert_allclose(c, expected, rtol=0, atol=WITHIN * scale)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(("name", "channel"), [("strips", 3), ("lines with stride", 1)])
def test_what_is_not_finite_stays_visible_and_where_it_was_seen(
    name: str, channel: int, bad: float
) -> None:
    shape, product = problem(name, 1)
    shape["x"][0, channel, 5, 5] = 1e30
    seen = np.zeros(product.shape, np.float32)
    kernels.convolution(y=seen, **{**shape, "by_columns": 1})
    shape["x"][0, channel, 5, 5] = bad
    made = np.zeros(product.shape, np.float32)
    packed = packed_by(kernels.convolution_pack, shape, np.float32)
    kernels.convolution(y=made, packed=packed, **shape)
    np.testing.assert_array_equal(np.isfinite(made), np.abs(seen) < 1e20)
