"""Convolution and its gradients against the defining sum, on every instruction set."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from kernel_stores import packed_by

from protonet import kernels

# n, channels, size, outputs, kernel, stride, pad, dilation, group
CASES = [
    (1, 3, (9, 8), 4, (3, 2), (1, 1), (0, 0), (1, 1), 1),
    (5, 4, (9, 7), 6, (3, 3), (2, 2), (1, 1), (1, 1), 2),
    (3, 4, (11, 11), 4, (3, 3), (1, 1), (2, 2), (2, 2), 4),
    (2, 3, (8, 8), 5, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    (2, 3, (8, 8), 5, (1, 1), (2, 2), (0, 0), (1, 1), 1),
    (9, 2, (7, 5), 3, (5, 3), (1, 1), (4, 1), (1, 1), 1),
    (2, 2, (23,), 3, (4,), (3,), (2,), (1,), 1),
    (2, 2, (5, 6, 7), 3, (3, 2, 3), (1, 2, 1), (1, 0, 2), (1, 1, 2), 1),
    (3, 4, (), 6, (), (), (), (), 2),
    # planes, rows and channels that fill no vector or block, in strips and parts
    (1, 70, (61, 60), 37, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    (3, 300, (13, 9), 18, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    (2, 40, (33, 31), 67, (1, 1), (2, 2), (0, 0), (1, 1), 1),
    (1, 600, (7, 7), 130, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    (1, 3, (67, 70), 20, (7, 7), (2, 2), (3, 3), (1, 1), 1),
    (2, 6, (29, 28), 50, (5, 5), (1, 1), (2, 2), (1, 1), 2),
    (2, 5, (40, 37), 9, (4, 3), (3, 4), (0, 1), (1, 1), 1),
    (1, 4, (19, 17), 8, (3, 3), (2, 1), (4, 4), (3, 2), 2),
    (2, 9, (3, 4, 5), 21, (1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1), 1),
    # the filters' gradient by dot products
    (3, 18, (31, 30), 20, (3, 3), (2, 2), (1, 1), (1, 1), 1),
    (5, 9, (17, 16), 11, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    (2, 40, (70, 65), 15, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    (2, 8, (16, 20), 14, (5, 5), (1, 1), (2, 2), (1, 1), 2),
    # one tap's gradient where it lies
    (3, 256, (13, 11), 258, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    (2, 256, (40, 41), 260, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    (2, 512, (6, 7), 560, (1, 1), (1, 1), (0, 0), (1, 1), 2),
    # of the two axes one steps over one tap, the other does not
    (3, 4, (3, 4), 2, (3, 1), (1, 3), (0, 0), (1, 1), 1),
    (2, 5, (7, 9), 4, (1, 3), (2, 1), (0, 1), (1, 2), 1),
    # one input channel to a group
    (2, 3, (7, 7), 3, (3, 3), (1, 1), (1, 1), (1, 1), 3),
    (2, 3, (14, 13), 3, (3, 3), (2, 2), (1, 1), (1, 1), 3),
    (1, 2, (150, 141), 2, (3, 3), (1, 1), (1, 1), (1, 1), 2),
    (1, 2, (151, 230), 4, (5, 4), (2, 3), (2, 0), (1, 1), 2),
    (2, 3, (20, 21), 9, (3, 5), (2, 1), (4, 5), (3, 2), 3),
    (2, 2, (9, 9), 2, (9, 9), (1, 1), (0, 0), (1, 1), 2),
    (2, 2, (9, 30), 2, (1, 17), (1, 4), (0, 9), (1, 1), 2),
    (2, 2, (9, 9), 2, (2, 2), (4, 4), (0, 0), (1, 1), 2),
    (2, 2, (6, 6), 2, (1, 1), (2, 1), (3, 2), (1, 1), 2),
]

# 3 to 5 taps an edge, or as many for each phase of a step, over many channels: in float32 these go
# by Winograd's transforms
LARGE = [
    (1, 20, (40, 41), 17, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (2, 32, (30, 29), 48, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (9, 40, (7, 14), 33, (3, 3), (1, 1), (0, 2), (1, 1), 1),
    (1, 64, (57, 58), 64, (3, 3), (1, 1), (2, 0), (1, 1), 2),
    (1, 20, (40, 41), 17, (5, 5), (1, 1), (2, 2), (1, 1), 1),
    (9, 40, (7, 14), 70, (5, 5), (1, 1), (0, 4), (1, 1), 1),
    (2, 96, (27, 26), 256, (5, 5), (1, 1), (2, 2), (1, 1), 2),
    (1, 20, (40, 41), 17, (4, 4), (1, 1), (2, 1), (1, 1), 1),
    (9, 40, (7, 14), 70, (4, 4), (1, 1), (0, 3), (1, 1), 2),
    (2, 3, (67, 70), 40, (7, 7), (2, 2), (3, 3), (1, 1), 1),
    (2, 6, (67, 70), 40, (8, 8), (2, 2), (0, 4), (1, 1), 1),
    (1, 3, (103, 99), 32, (11, 11), (4, 4), (0, 2), (1, 1), 1),
    (3, 10, (41, 37), 34, (5, 5), (2, 2), (1, 2), (1, 1), 2),
    (2, 2, (80, 61), 18, (13, 13), (3, 3), (6, 0), (1, 1), 1),
]

# many filters of few tiles: transformed as they are used, their gradient in parts
PREVAILING = [
    (2, 160, (8, 8), 128, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (2, 300, (8, 7), 290, (3, 3), (1, 1), (1, 1), (1, 1), 1),
]


def out_size(size, kernel, stride, pad, dilation):
    axes = zip(size, kernel, stride, pad, dilation, strict=True)
    return tuple((h + 2 * p - d * (f - 1) - 1) // s + 1 for h, f, s, p, d in axes)


class Problem:
    """Random operands of one case and the kernels' arguments for them."""

    def __init__(self, case, dtype, seed=0):
        n, c, size, o, kernel, stride, pad, dilation, group = case
        out = out_size(size, kernel, stride, pad, dilation)
        random = np.random.default_rng(seed)
        self.x, self.w, self.b, self.dy = (
            random.standard_normal(shape).astype(dtype)
            for shape in ((n, c, *size), (o, c // group, *kernel), (o,), (n, o, *out))
        )
        self.shape = {
            "n": n, "channels": c, "outputs": o, "group": group, "axes": len(size), "size": size,
            "out": out, "kernel": kernel, "stride": stride, "pad": pad, "dilation": dilation,
        }  # fmt: skip

    def forward(self, **more):
        y = np.full_like(self.dy, np.nan)
        kernels.convolution(x=self.x, weight=self.w, bias=self.b, y=y, **self.shape, **more)
        return y

    def backward(self):
        dx = np.full_like(self.x, np.nan)
        dw, db = np.ones_like(self.w), np.ones_like(self.b)
        kernels.convolution_backward_data(shape={"weight": self.w, **self.shape}, dy=self.dy, dx=dx)
        kernels.convolution_backward_weight(
            shape={"x": self.x, **self.shape}, dy=self.dy, dweight=dw, dbias=db
        )
        return dx, dw, db

    def defined(self):
        """y, dx, dw, db by the defining sum in float64, one filter tap at a time."""
        s = self.shape
        x, w, dy = (a.astype(np.float64) for a in (self.x, self.w, self.dy))
        pads = [(0, 0), (0, 0), *[(p, p) for p in s["pad"]]]
        padded = np.pad(x, pads)
        dpadded = np.zeros_like(padded)
        y = np.zeros(dy.shape) + self.b.reshape(1, -1, *[1] * s["axes"])
        dw = np.zeros_like(w)
        taps = itertools.product(*[range(f) for f in s["kernel"]])
        gc, go = s["channels"] // s["group"], s["outputs"] // s["group"]
        for tap, g in itertools.product(list(taps), range(s["group"])):
            where = tuple(
                slice(t * d, t * d + (o - 1) * st + 1, st)
                for t, d, o, st in zip(tap, s["dilation"], s["out"], s["stride"], strict=True)
            )
            ins, outs = slice(g * gc, (g + 1) * gc), slice(g * go, (g + 1) * go)
            seen = padded[(slice(None), ins, *where)]
            weight = w[(outs, slice(None), *tap)]
            y[:, outs] += np.einsum("oc,nc...->no...", weight, seen)
            dpadded[(slice(None), ins, *where)] += np.einsum("oc,no...->nc...", weight, dy[:, outs])
            flat = dy[:, outs].reshape(s["n"], go, -1), seen.reshape(s["n"], gc, -1)
            dw[(outs, slice(None), *tap)] += np.einsum("nop,ncp->oc", *flat)
        inside = tuple(slice(p, p + h) for p, h in zip(s["pad"], s["size"], strict=True))
        db = dy.sum(axis=(0, *range(2, dy.ndim)))
        return y, dpadded[(slice(None), slice(None), *inside)], dw, db


def assert_close(got, want, ulps=40):
    bound = ulps * np.finfo(got.dtype).eps * (np.max(np.abs(want)) + 1)
    assert np.max(np.abs(got - want)) <= bound


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward_and_gradients_equal_the_defining_sum(isa, case, dtype):
    problem = Problem(case, dtype)
    y, dx, dw, db = problem.defined()
    assert_close(problem.forward(), y)
    assert_close(problem.forward(by_columns=1), y)
    got = problem.backward()
    assert_close(got[0], dx)
    assert_close(got[1], dw + 1)  # parameters' gradients are added to what is there
    assert_close(got[2], db + 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", LARGE, ids=str)
def test_error_of_transformed_tiles_stays_small(isa, case, dtype):
    problem = Problem(case, dtype)
    y, dx, dw, db = problem.defined()
    got = problem.forward(), *problem.backward()
    for one, other in zip(got, (y, dx, dw + 1, db + 1), strict=True):
        assert_close(one, other, ulps=120)  # 1.4e-5 of the scale in float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", PREVAILING, ids=str)
def test_error_of_transformed_tiles_grows_as_the_root_of_the_channels(isa, case, dtype):
    problem = Problem(case, dtype)
    y, dx, dw, db = problem.defined()
    got = problem.forward(), *problem.backward()
    ulps = 120 * math.sqrt(max(problem.shape["channels"], problem.shape["outputs"]) / 96)
    for one, other in zip(got, (y, dx, dw + 1, db + 1), strict=True):
        assert_close(one, other, ulps)


@pytest.mark.parametrize("side", [228, 229, 230])
def test_pixels_behind_the_last_step_reach_nothing(isa, side):
    problem = Problem((1, 3, (side, side), 64, (11, 11), (4, 4), (0, 0), (1, 1), 1), np.float32)
    expected = problem.forward(), problem.backward()[1]
    problem.x[:, :, :, 227:] = np.nan
    problem.x[:, :, 227:] = np.inf
    found = problem.forward(), problem.backward()[1]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("taps", [3, 4, 5])
@pytest.mark.parametrize("shape", [(1, 64, (57, 58), 64), (4, 33, (9, 9), 40)])
def test_tiles_of_one_value_come_back_exactly_where_the_filter_is_one_tap(isa, shape, taps):
    n, channels, size, outputs = shape
    kernel, pad = (taps, taps), (taps // 2, taps // 2)  # of 4 taps the output is one larger
    problem = Problem((n, channels, size, outputs, kernel, (1, 1), pad, (1, 1), 1), np.float32)
    problem.w[...] = 0
    for o in range(outputs):
        problem.w[o, o % channels, taps // 2, taps // 2] = 1
    moved = problem.x[:, [o % channels for o in range(outputs)]]
    found = problem.forward()[:, :, : size[0], : size[1]]
    assert_close(found, moved + problem.b.reshape(1, -1, 1, 1), ulps=60)


@pytest.mark.parametrize(
    "case",
    [
        CASES[1],
        *CASES[9:13],
        *LARGE,
        *PREVAILING,
        *CASES[19:25],
        CASES[26],
        (64, 20, (12, 12), 50, (5, 5), (1, 1), (0, 0), (1, 1), 1),
        (20, 3, (33, 31), 20, (5, 5), (1, 1), (2, 2), (1, 1), 1),
    ],
)
def test_bits_do_not_depend_on_the_number_of_threads(isa, case):
    problem = Problem(case, np.float32)
    before = kernels.threads()
    results = []
    for threads in (1, 2, 5):
        kernels.choose_threads(threads)
        results.append((problem.forward(), *problem.backward()))
    kernels.choose_threads(before)
    for result in results[1:]:
        for got, want in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_im2col_and_col2im_are_transposes(case):
    problem = Problem(case, np.float64)
    s = problem.shape
    rows = s["channels"] * math.prod(s["kernel"])
    columns = np.full((s["n"], rows, math.prod(s["out"])), np.nan)
    kernels.im2col(shape={"x": problem.x, **s}, columns=columns)
    other = np.random.default_rng(3).standard_normal(columns.shape)
    back = np.full_like(problem.x, np.nan)
    kernels.col2im(shape=s, columns=other, x=back)
    np.testing.assert_allclose(np.vdot(columns, other), np.vdot(problem.x, back), rtol=1e-10)


@pytest.mark.parametrize(
    ("channels", "outputs", "size", "kernel", "pad"),
    [(109, 147, (6, 2), 5, 4), (171, 127, (3, 31), 3, 1), (121, 99, (23, 18), 3, 2)],
)
def test_weights_are_packed_for_the_way_that_is_gone(
    isa: str, channels: int, outputs: int, size: tuple[int, int], kernel: int, pad: int
) -> None:
    random = np.random.default_rng(7)
    out = tuple(s + 2 * pad - kernel + 1 for s in size)
    shape: dict[str, Any] = {
        "x": random.normal(size=(2, channels, *size)).astype(np.float32),
        "weight": random.normal(size=(outputs, channels, kernel, kernel)).astype(np.float32),
        "n": 2, "channels": channels, "outputs": outputs, "group": 1, "axes": 2, "size": size,
        "out": out, "kernel": (kernel, kernel), "stride": (1, 1), "pad": (pad, pad),
        "dilation": (1, 1),
    }  # fmt: skip
    expected, made = (np.zeros((2, outputs, *out), np.float32) for _ in range(2))
    kernels.convolution(y=expected, **{**shape, "by_columns": 1})
    packed = packed_by(kernels.convolution_pack, shape, np.float32)
    kernels.convolution(y=made, packed=packed, **shape)
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
