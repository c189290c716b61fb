"""Pooling: window sizes and borders, indices, random choice."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_check import layer_net, run_layer

from protonet.ir.protonet_pb2 import TEST, TRAIN


def pooled(x: np.ndarray, settings: str, phase: int = TEST) -> np.ndarray:
    layer = f'type: "Pooling" bottom: "x" top: "y" pooling_param {{ {settings} }}'
    return run_layer(layer, phase=phase, x=x).blobs["y"].data


@pytest.mark.parametrize(
    ("size", "settings", "out"),
    [
        (112, "kernel_size: 3 stride: 2", 56),
        (5, "kernel_size: 2 stride: 2", 3),
        (7, "kernel_size: 3 stride: 2 pad: 1", 4),
        (5, "kernel_size: 2 stride: 2 round_mode: FLOOR", 2),
        (5, "kernel_size: 2 stride: 2 ceil_mode: false", 2),
        (2, "kernel_size: 3 stride: 2", 1),
    ],
)
def test_output_size_is_rounded_up_and_clipped_only_with_padding(
    size: int, settings: str, out: int
) -> None:
    assert pooled(np.zeros((1, 1, size, size)), settings).shape == (1, 1, out, out)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_maximum_of_no_element_is_the_least_float32(dtype: type) -> None:
    y = pooled(np.ones((1, 1, 3, 3), dtype), "kernel_size: 2 stride: 3")
    least = float(np.finfo(np.float32).min)
    assert y[0, 0].tolist() == [[1, least], [least, least]]


@pytest.mark.parametrize("size", [4, 16])
def test_a_maximum_is_not_lost_at_what_is_no_number(size: int) -> None:
    x = np.random.default_rng(0).uniform(0, 1, (1, 1, size, size)).astype(np.float32)
    x[0, 0, 0, 3], x[0, 0, size // 2, 3] = 9, np.nan
    assert pooled(x, "global_pooling: true").item() == 9


def test_average_border_divisor_counts_padding_but_not_overhang() -> None:
    y = pooled(np.ones((1, 1, 4, 4)), "pool: AVE kernel_size: 3 stride: 2 pad: 1")
    np.testing.assert_allclose(y[0, 0, 0], [4 / 9, 6 / 9, 2 / 6], rtol=1e-6)


def test_the_second_top_holds_the_index_of_the_first_maximum() -> None:
    x = np.zeros((1, 1, 4, 12), np.float32)
    x[0, 0, 2, 3] = 5
    blobs = 'bottom: "x" top: "y" top: "mask"'
    net = run_layer(f'type: "Pooling" {blobs} pooling_param {{ kernel_size: 4 stride: 4 }}', x=x)
    assert net.blobs["mask"].data.ravel().tolist() == [2 * 12 + 3, 4, 8]


@pytest.mark.parametrize("width", [3, 40])
def test_maximum_of_nothing_but_nan_is_the_lowest_number_and_gets_no_gradient(width: int) -> None:
    x = np.full((1, 1, 2, width), np.nan)
    layer = (
        'type: "Pooling" bottom: "x" top: "y" top: "mask" pooling_param { global_pooling: true }'
    )
    net = run_layer(layer, x=x)
    assert net.blobs["y"].data == -np.finfo(np.float32).max
    assert net.blobs["mask"].data == -1
    net.blobs["y"].diff[...] = 1
    net.backward()
    assert not net.blobs["x"].diff.any()


@pytest.mark.parametrize("height", [1, 7, 33])
def test_wide_windows_and_long_rows_give_the_maxima_of_plain_loops(isa: str, height: int) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, height, 70)).astype(np.float32)
    y = pooled(x, "kernel_h: 1 kernel_w: 40 stride: 1")
    want = np.lib.stride_tricks.sliding_window_view(x, 40, axis=3).max(axis=-1)
    np.testing.assert_array_equal(y, want)
    np.testing.assert_array_equal(
        pooled(x, "global_pooling: true").ravel(), x.max(axis=(2, 3)).ravel()
    )


def test_stochastic_pooling_draws_in_proportion_to_the_values() -> None:
    x = np.tile(np.array([[1, 2], [3, 0]], np.float32), (1, 1, 100, 100))
    y = pooled(x, "pool: STOCHASTIC kernel_size: 2 stride: 2", TRAIN)
    for value, share in ((0, 0), (1, 1 / 6), (2, 2 / 6), (3, 3 / 6)):
        assert (y == value).mean() == pytest.approx(share, abs=0.02)


def test_stochastic_pooling_gives_the_gradient_to_what_it_drew() -> None:
    x = np.arange(1, 65, dtype=np.float64).reshape(1, 1, 8, 8)
    settings = "pooling_param { pool: STOCHASTIC kernel_size: 4 stride: 4 }"
    layer = f'type: "Pooling" bottom: "x" top: "y" {settings}'
    net = layer_net(layer, {"x": x}, phase=TRAIN)
    net.forward()
    net.blobs["y"].diff[...] = 7
    net.backward()
    drawn = net.blobs["x"].diff == 7
    assert (net.blobs["x"].diff != 0).sum() == drawn.sum() == 4
    np.testing.assert_array_equal(np.sort(x[drawn]), np.sort(net.blobs["y"].data.ravel()))


def test_stochastic_pooling_in_test_weighs_each_value_by_itself() -> None:
    x = np.array([[[[1, 2], [3, -4]]]], np.float32)
    y = pooled(x, "pool: STOCHASTIC kernel_size: 2")
    assert y == pytest.approx((1 + 4 + 9) / 6)
    assert pooled(-abs(x), "pool: STOCHASTIC kernel_size: 2") == 0


def plain_pooling(
    x: np.ndarray, kernel: int, stride: int, pad: int, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maxima, their indices and means, window by window."""
    height, width = x.shape[2:]
    most, index, mean = np.empty(shape), np.empty(shape), np.empty(shape)
    for row, column in np.ndindex(*shape[2:]):
        top, left = row * stride - pad, column * stride - pad
        rows = slice(max(0, top), min(top + kernel, height))
        columns = slice(max(0, left), min(left + kernel, width))
        window = x[:, :, rows, columns]
        flat = window.reshape(*shape[:2], -1)
        place = flat.argmax(axis=-1)
        across = columns.stop - columns.start
        most[:, :, row, column] = flat.max(axis=-1)
        index[:, :, row, column] = (place // across + rows.start) * width + (
            place % across + columns.start
        )
        size = (min(top + kernel, height + pad) - top) * (min(left + kernel, width + pad) - left)
        mean[:, :, row, column] = flat.sum(axis=-1) / size
    return most, index, mean


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "pad"), [(1, 0), (2, 0), (3, 1), (4, 3), (5, 2)])
def test_pooling_is_that_of_plain_loops(
    isa: str, kernel: int, pad: int, stride: int, dtype: type
) -> None:
    random = np.random.default_rng(0)
    for width in (5, 8, 9, 16, 17, 23, 33, 34, 47, 64, 65):
        x = random.permutation(2 * 3 * 7 * width).reshape(2, 3, 7, width) / 100
        settings = f"kernel_size: {kernel} stride: {stride} pad: {pad}"
        if stride > kernel:
            settings += " round_mode: FLOOR"  # else windows lie outside
        layer = 'type: "Pooling" bottom: "x" top: "y"'
        maximum = f'{layer} top: "mask" pooling_param {{ {settings} }}'
        average = f"{layer} pooling_param {{ pool: AVE {settings} }}"
        net = run_layer(maximum, dtype=dtype, x=x)
        y = net.blobs["y"].data
        most, index, mean = plain_pooling(x.astype(dtype), kernel, stride, pad, y.shape)
        np.testing.assert_array_equal(y, most)
        np.testing.assert_array_equal(net.blobs["mask"].data, index)
        y = run_layer(average, dtype=dtype, x=x).blobs["y"].data
        np.testing.assert_allclose(y, mean, rtol=1e-5)
