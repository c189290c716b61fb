"""Pooling by small windows equals plain loops for planes of any size, and touches nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from protonet import kernels

LOWEST = -np.finfo(np.float32).max


def geometry(size: int, window: int, stride: int, pad: int) -> dict[str, int]:
    """Caffe's rule for a plane of size × (size + 3)."""
    shape = {"kernel_height": window, "kernel_width": window, "planes": 3}
    for axis, length in (("height", size), ("width", size + 3)):
        out = -(-(length + 2 * pad - window) // stride) + 1
        if pad and (out - 1) * stride >= length + pad:
            out -= 1
        shape |= {
            axis: length, f"out_{axis}": out, f"stride_{axis}": stride, f"pad_{axis}": pad
        }  # fmt: skip
    return shape


def windows(shape: dict[str, int]) -> list[tuple[int, int, slice, slice, float]]:
    """Returns each output's place, the inputs it sees, and what its mean divides by."""
    found = []
    size, stride, pad = shape["kernel_height"], shape["stride_height"], shape["pad_height"]
    for i in range(shape["out_height"]):
        for j in range(shape["out_width"]):
            top, left = i * stride - pad, j * stride - pad
            down = min(top + size, shape["height"] + pad)
            right = min(left + size, shape["width"] + pad)
            seen = slice(max(0, top), max(0, down)), slice(max(0, left), max(0, right))
            found.append((i, j, *seen, float((down - top) * (right - left))))
    return found


@pytest.mark.parametrize(("window", "stride"), [(2, 2), (3, 2), (3, 1)])
@pytest.mark.parametrize("pad", [0, 1])
def test_maxima_and_means_are_those_of_plain_loops(
    isa: str, window: int, stride: int, pad: int
) -> None:
    random = np.random.default_rng(0)
    for size in (window, 4, 5, 7, 8, 15, 16, 17, 31, 34, 70):
        shape = geometry(size, window, stride, pad)
        x = random.normal(size=(3, shape["height"], shape["width"])).astype(np.float32)
        x[random.random(x.shape) < 0.1] = np.nan
        whole = np.where(np.isnan(x), 0, x)
        x[:, : window + 1, : window + 1] = np.nan  # the greatest of nothing but NaN
        around = np.full(64, np.inf, np.float32)
        out = (3, shape["out_height"], shape["out_width"])
        most, mean = np.zeros((2, *out), np.float32)
        for i, j, rows, columns, divisor in windows(shape):
            numbers = np.where(np.isnan(x), LOWEST, x)[:, rows, columns]
            most[:, i, j] = numbers.max(axis=(1, 2))
            mean[:, i, j] = whole[:, rows, columns].sum(axis=(1, 2), dtype=float) / divisor
        for given, expected in ((x, most), (whole, mean)):
            held = np.concatenate([around, given.ravel(), around])[64:]
            made = np.full(expected.size + 64, 77, np.float32)
            if given is x:
                kernels.max_pool(shape={"x": held, "y": made, **shape}, mask=None, argmax=None)
            else:
                kernels.average_pool(x=held, y=made, **shape)
            np.testing.assert_allclose(
                made[: expected.size].reshape(out), expected, rtol=1e-5, atol=1e-6
            )
            assert (made[expected.size :] == 77).all()
