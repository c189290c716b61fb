"""FlowNet's layers: Correlation, FlowWarp, ChannelNorm, Resample, Downsample, Accum."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_check import check_gradients, layer_net, run_layer, values

import protonet

CORRELATION = 'type: "Correlation" bottom: "a" bottom: "b" top: "y" correlation_param {{ {} }}'
WARP = 'type: "FlowWarp" bottom: "x" bottom: "flow" top: "y" flow_warp_param {{ {} }}'
NORM = 'type: "ChannelNorm" bottom: "x" top: "y"'
RESAMPLE = 'type: "Resample" bottom: "x" top: "y" resample_param {{ {} }}'
DOWNSAMPLE = 'type: "Downsample" bottom: "x" top: "y" downsample_param {{ {} }}'


def correlation(
    a: np.ndarray, b: np.ndarray, kernel: int, most: int, pad: int = 0, s1: int = 1, s2: int = 1,
    subtract: bool = False,
) -> np.ndarray:  # fmt: skip
    """The definition, place by place."""
    around = ((0, 0), (0, 0), (pad, pad), (pad, pad))
    a, b = np.pad(a, around), np.pad(b, around)
    radius, border = most // s2, 2 * (most + kernel // 2)
    rows, columns = (-(-(size - border) // s1) for size in a.shape[2:])
    found = np.zeros((len(a), (2 * radius + 1) ** 2, rows, columns))
    for h in range(rows):
        for w in range(columns):
            y, x = h * s1 + most, w * s1 + most
            here = a[:, :, y : y + kernel, x : x + kernel]
            for index in range(found.shape[1]):
                down = (index // (2 * radius + 1) - radius) * s2
                right = (index % (2 * radius + 1) - radius) * s2
                there = b[:, :, y + down : y + down + kernel, x + right : x + right + kernel]
                each = abs(here - there) if subtract else here * there
                found[:, index, h, w] = each.mean((1, 2, 3))
    return found


CORRELATIONS = [
    {"kernel": 1, "most": 2, "pad": 2},
    {"kernel": 1, "most": 4, "pad": 4, "s2": 2},
    {"kernel": 3, "most": 1, "pad": 1},
    {"kernel": 3, "most": 3, "pad": 4, "s1": 2, "s2": 2},
    {"kernel": 1, "most": 0, "s1": 3},
    {"kernel": 1, "most": 2, "pad": 2, "subtract": True},
    {"kernel": 3, "most": 2, "pad": 1, "s1": 2, "s2": 2, "subtract": True},
]


def correlation_text(settings: dict[str, int]) -> str:
    names = {"kernel": "kernel_size", "most": "max_displacement", "s1": "stride_1"}
    names |= {"s2": "stride_2", "pad": "pad"}
    fields = [f"{names[name]}: {value}" for name, value in settings.items() if name in names]
    if settings.get("subtract"):
        fields.append("correlation_type: SUBTRACT")
    return CORRELATION.format(" ".join(fields))


@pytest.mark.parametrize("settings", CORRELATIONS, ids=str)
def test_correlation_is_its_definition(settings: dict[str, int]) -> None:
    a, b = values(2, 5, 8, 9), values(2, 5, 8, 9, seed=1)
    net = run_layer(correlation_text(settings), a=a, b=b)
    want = correlation(a, b, **settings)
    assert net.blobs["y"].shape == want.shape
    np.testing.assert_allclose(net.blobs["y"].data, want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("settings", CORRELATIONS, ids=str)
def test_correlation_has_the_gradient_of_its_value(settings: dict[str, int]) -> None:
    # Numbers of which no two are alike, nor any 0: |a − b| has its kinks there.
    random = np.random.default_rng(2)
    a, b = ((random.permutation(61)[:60] - 30 + part) / 30 for part in (0.25, 0.75))
    shape = (1, 2, 5, 6)
    check_gradients(correlation_text(settings), a=a.reshape(shape), b=b.reshape(shape), rtol=1e-4)


def test_flownets_correlation_has_flownets_shape() -> None:
    fields = "pad: 20 kernel_size: 1 max_displacement: 20 stride_1: 1 stride_2: 2"
    shape = {name: np.zeros((1, 4, 40, 56)) for name in "ab"}
    assert layer_net(CORRELATION.format(fields), shape).blobs["y"].shape == (1, 441, 40, 56)


def some_flow(*shape: int, seed: int = 5) -> np.ndarray:
    """Flow whose targets keep off whole pixels, where interpolation has its kinks."""
    flow = values(*shape, seed=seed, low=-3, high=3)
    return np.floor(flow) + 0.1 + 0.8 * (flow - np.floor(flow))


@pytest.mark.parametrize("fill", ["ZERO", "NOT_A_NUMBER"])
def test_flow_warp_fetches_pixels_from_where_the_flow_leads(fill: str) -> None:
    x, flow = values(2, 3, 5, 6), some_flow(2, 2, 5, 6)
    flow[0, :, 1, 1] = np.nan
    y = run_layer(WARP.format(f"fill_value: {fill}"), x=x, flow=flow).blobs["y"].data
    for n, h, w in np.ndindex(2, 5, 6):
        row, column = h + flow[n, 1, h, w], w + flow[n, 0, h, w]
        if not (0 <= row < 5 and 0 <= column < 6):
            want = np.zeros(3) if fill == "ZERO" else np.full(3, np.nan)
        else:
            r, c = int(row), int(column)
            below, right = min(r + 1, 4), min(c + 1, 5)
            v, u = row - r, column - c
            want = (1 - v) * ((1 - u) * x[n, :, r, c] + u * x[n, :, r, right])
            want += v * ((1 - u) * x[n, :, below, c] + u * x[n, :, below, right])
        np.testing.assert_allclose(y[n, :, h, w], want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", [5, 6])
def test_flow_warp_has_the_gradient_of_its_value(seed: int) -> None:
    layer = WARP.format("")
    check_gradients(layer, x=values(2, 2, 4, 5), flow=some_flow(2, 2, 4, 5, seed=seed), rtol=1e-4)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 7), (1, 2, 30, 20)])
def test_channel_norm_is_the_length_of_each_vector(shape: tuple[int, ...]) -> None:
    x = values(*shape, low=0.5)
    y = run_layer(NORM, x=x).blobs["y"].data
    np.testing.assert_allclose(y, np.sqrt((x**2).sum(1, keepdims=True)), rtol=1e-5)
    check_gradients(NORM, x=values(*shape[:2], *(2,) * (len(shape) - 2), low=0.5))


def test_the_gradient_of_a_vector_of_no_length_is_none() -> None:
    net = run_layer(NORM, x=np.zeros((1, 2, 3)))
    net.blobs["y"].diff[...] = 1
    net.backward()
    np.testing.assert_array_equal(net.blobs["x"].diff, 0)


def test_resampling_a_ramp_keeps_it_a_ramp() -> None:
    ramp = np.arange(8.0).reshape(1, 1, 1, 8).repeat(8, 2)
    for fields in ("type: LINEAR height: 16 width: 16", "type: CUBIC height: 16 width: 16"):
        y = run_layer(RESAMPLE.format(fields), x=ramp).blobs["y"].data
        middle = (np.arange(16) * 0.5 - 0.25)[4:-4]
        np.testing.assert_allclose(y[0, 0, 5, 4:-4], middle, rtol=1e-5)


def test_resampling_smaller_means_over_more_pixels_unless_told_not_to() -> None:
    x = np.zeros((1, 1, 4, 4))
    x[0, 0, 1, 1] = 1
    smooth = run_layer(RESAMPLE.format("height: 2 width: 2"), x=x).blobs["y"].data[0, 0]
    # Place 0.5 of an axis; at pixels 0, 1, 2: weights 3/4, 3/4, 1/4 of a triangle of reach 2.
    np.testing.assert_allclose(smooth[0, 0], (0.75 / 1.75) ** 2, rtol=1e-5)
    sharp = run_layer(RESAMPLE.format("height: 2 width: 2 antialias: false"), x=x)
    np.testing.assert_allclose(sharp.blobs["y"].data[0, 0, 0, 0], 0.25, rtol=1e-5)


def test_the_nearest_pixels_are_shown() -> None:
    x = values(1, 2, 3, 4).astype(np.float32)
    layer = 'type: "Resample" bottom: "x" bottom: "like" top: "y" resample_param { type: NEAREST }'
    net = run_layer(layer, x=x, like=np.zeros((1, 1, 6, 8)))
    np.testing.assert_array_equal(net.blobs["y"].data, x.repeat(2, 2).repeat(2, 3))


def test_offsets_of_rows_and_columns_are_swapped_as_in_flownets_caffe() -> None:
    x = np.arange(64.0).reshape(1, 1, 1, 64)  # one row: only columns are interpolated
    y = run_layer(RESAMPLE.format("height: 1 width: 32 antialias: false"), x=x).blobs["y"].data
    np.testing.assert_allclose(y[0, 0, 0, 2:-2], (np.arange(32) * 2 + 0.5 - 0.5)[2:-2], rtol=1e-5)


@pytest.mark.parametrize(
    "fields",
    [
        "height: 7 width: 3",
        "type: CUBIC height: 3 width: 8",
        "type: CUBIC height: 2 width: 2 antialias: false",
        "type: NEAREST height: 3 width: 9",
    ],
)
def test_resample_has_the_gradient_of_its_value(fields: str) -> None:
    check_gradients(RESAMPLE.format(fields), x=values(1, 2, 5, 6))


def test_downsample_means_what_is_known() -> None:
    x = np.zeros((1, 1, 1, 5))
    x[0, 0, 0] = [1, 2, 3, np.nan, np.nan]
    y = run_layer(DOWNSAMPLE.format("top_height: 1 top_width: 3"), x=x).blobs["y"].data[0, 0, 0]
    # Step 2: place 0 has pixels 0, 1 with 1, 1/2; place 2: 1, 2, (3) with 1/2, 1, (1/2).
    np.testing.assert_allclose(y[:2], [(1 + 1) / 1.5, (1 + 3) / 1.5], rtol=1e-5)
    assert np.isnan(y[2])


def test_downsample_to_the_same_size_copies() -> None:
    x = values(2, 2, 3, 4).astype(np.float32)
    y = run_layer(DOWNSAMPLE.format("top_height: 3 top_width: 4"), x=x).blobs["y"].data
    np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("out", [(3, 4), (5, 1), (2, 7)])
def test_downsample_is_its_definition(out: tuple[int, int]) -> None:
    x = values(1, 2, 6, 9)
    x[0, 0, 2:4, 2:6] = np.nan
    fields = f"top_height: {out[0]} top_width: {out[1]}"
    y = run_layer(DOWNSAMPLE.format(fields), x=x).blobs["y"].data

    def weights(size: int, size_out: int) -> np.ndarray:
        if size_out == 1:
            return np.ones((1, size))
        step = (size - 1) / (size_out - 1)
        away = abs(np.arange(size) - step * np.arange(size_out)[:, None]) / step
        return np.maximum(0, 1 - away)

    rows, columns = weights(6, out[0]), weights(9, out[1])
    known = np.einsum("hi,wj,ncij->nchw", rows, columns, ~np.isnan(x) * 1.0)
    unknown = np.einsum("hi,wj,ncij->nchw", rows, columns, np.isnan(x) * 1.0)
    total = np.einsum("hi,wj,ncij->nchw", rows, columns, np.nan_to_num(x))
    with np.errstate(all="ignore"):
        want = np.where(2 * unknown > known, np.nan, total / known)
    np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-5)


def test_downsample_has_no_gradient() -> None:
    net = layer_net(DOWNSAMPLE.format("top_height: 2 top_width: 2"), {"x": values(1, 1, 4, 4)})
    assert net.layers[-1].propagate_down == [False]


ACCUM = 'type: "Accum" bottom: "a" bottom: "b" top: "y" accum_param {{ {} }}'


def test_accum_joins_maps_of_different_sizes() -> None:
    a, b = values(2, 2, 3, 4), values(2, 1, 5, 7, seed=1)
    y = run_layer(ACCUM.format(""), a=a, b=b).blobs["y"].data
    assert y.shape == (2, 3, 5, 7)
    np.testing.assert_allclose(y[:, 2:], b, rtol=1e-6)
    np.testing.assert_allclose(y[:, :2, ::4, ::6], a[:, :, ::2, ::3], rtol=1e-5)  # the corners
    check_gradients(ACCUM.format(""), a=values(1, 2, 2, 3), b=values(1, 1, 3, 4, seed=1))


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ("have_reference: true", (2, 2, 5, 7)),
        ("size_divisible_by: 4", (2, 3, 8, 8)),
        ("top_height: 9 top_width: 8", (2, 3, 9, 8)),
        ("top_height: 4 top_width: 8", (2, 3, 5, 7)),
    ],
)
def test_accum_has_the_size_that_is_asked_for(fields: str, shape: tuple[int, ...]) -> None:
    inputs = {"a": values(2, 2, 3, 4), "b": values(2, 1, 5, 7)}
    net = layer_net(ACCUM.format(fields), inputs)
    assert net.blobs["y"].shape == shape
    check_gradients(ACCUM.format(fields), a=values(1, 1, 2, 2), b=values(1, 1, 3, 3))


@pytest.mark.parametrize(
    ("layer", "shapes", "text"),
    [
        (CORRELATION.format("kernel_size: 1"), {"a": (1, 1, 4, 4), "b": (1, 1, 4, 4)}, "be given"),
        (
            CORRELATION.format("kernel_size: 2 max_displacement: 1"),
            {"a": (1, 1, 4, 4), "b": (1, 1, 4, 4)},
            "must be odd",
        ),
        (
            CORRELATION.format("kernel_size: 1 max_displacement: 1 stride_2: 0"),
            {"a": (1, 1, 4, 4), "b": (1, 1, 4, 4)},
            "stride_2 must be at least 1",
        ),
        (
            CORRELATION.format("kernel_size: 1 max_displacement: 2"),
            {"a": (1, 1, 4, 9), "b": (1, 1, 4, 9)},
            "do not fit a 4×9 map",
        ),
        (
            CORRELATION.format("kernel_size: 1 max_displacement: 1"),
            {"a": (1, 1, 4, 4), "b": (1, 2, 4, 4)},
            "of one shape",
        ),
        (WARP.format(""), {"x": (1, 3, 4, 4), "flow": (1, 3, 4, 4)}, "must be 1×2×4×4"),
        (NORM, {"x": (3,)}, "must have a channel axis"),
        (RESAMPLE.format("height: 3"), {"x": (1, 1, 4, 4)}, "width must be at least 1"),
        (RESAMPLE.format("type: AREA"), {"x": (1, 1, 4, 4)}, "NEAREST, LINEAR or CUBIC"),
        (RESAMPLE.format("height: 3 width: 3"), {"x": (1, 4, 4)}, "takes N×C×H×W"),
        (DOWNSAMPLE.format("top_height: 9 top_width: 2"), {"x": (1, 1, 4, 4)}, "is smaller than"),
        (ACCUM.format(""), {"a": (1, 1, 2, 2), "b": (2, 1, 2, 2)}, "of one N"),
        (
            ACCUM.format("size_divisible_by: 0"),
            {"a": (1, 1, 2, 2), "b": (1, 1, 2, 2)},
            "size_divisible_by must be",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    layer: str, shapes: dict[str, tuple[int, ...]], text: str
) -> None:
    with pytest.raises(protonet.Error, match=text):
        layer_net(layer, {name: np.zeros(shape) for name, shape in shapes.items()})
