"""ROIPooling and PSROIPooling."""

from __future__ import annotations

import math

import numpy as np
import pytest
from gradient_check import check_gradients, run_layer, values

import protonet

ROIS = np.array(
    [
        [0, 0, 0, 15, 15],
        [1, 4, 8, 40, 19],
        [0, 10, 3, 10, 3],
        [1, -9, -9, 90, 90],
        [0, 30, 30, 50, 60],
        [1, 7.4, 2.6, 21.5, 12.5],
        [0, 20, 20, 10, 10],
        [1, 300, 300, 400, 400],
    ]
)


def half_up(x: float) -> int:
    return math.floor(x + 0.5) if x >= 0 else -math.floor(-x + 0.5)


def bins(start: float, size: float, count: int, limit: int) -> list[range]:
    bin_size = size / count
    edges = [
        (math.floor(i * bin_size + start), math.ceil((i + 1) * bin_size + start))
        for i in range(count)
    ]
    return [range(min(max(a, 0), limit), min(max(b, 0), limit)) for a, b in edges]


def region_layer(settings: str) -> str:
    return (
        f'type: "ROIPooling" bottom: "x" bottom: "rois" top: "y" roi_pooling_param {{ {settings} }}'
    )


def position_layer(settings: str) -> str:
    return (
        'type: "PSROIPooling" bottom: "x" bottom: "rois" top: "y" '
        f"psroi_pooling_param {{ {settings} }}"
    )


@pytest.mark.parametrize(("h", "w", "scale", "pad"), [(3, 2, 0.25, 0), (7, 7, 0.5, 0.25)])
def test_each_bin_gets_its_greatest_value(
    h: int, w: int, scale: float, pad: float, isa: str
) -> None:
    x = values(2, 5, 9, 11)
    settings = f"pooled_h: {h} pooled_w: {w} spatial_scale: {scale} pad_ratio: {pad}"
    y = run_layer(region_layer(settings), x=x, rois=ROIS, dtype=np.float64).blobs["y"].data
    want = np.zeros((len(ROIS), 5, h, w))
    for number, (image, x0, y0, x1, y1) in enumerate(ROIS):
        wide, high = pad * (x1 - x0 + 1), pad * (y1 - y0 + 1)
        left, right = half_up((x0 - wide) * scale), half_up((x1 + wide) * scale)
        top, bottom = half_up((y0 - high) * scale), half_up((y1 + high) * scale)
        for i, rows in enumerate(bins(top, max(bottom - top + 1, 1), h, 9)):
            for j, columns in enumerate(bins(left, max(right - left + 1, 1), w, 11)):
                if len(rows) and len(columns):
                    part = x[int(image)][:, rows][:, :, columns]
                    want[number, :, i, j] = part.max((1, 2))
    np.testing.assert_array_equal(y, want)


def test_ends_of_bins_that_are_whole_stay_whole(isa: str) -> None:
    """In float32 bins / count · count may lie just beside a whole number: Caffe rounds each
    product before the region's start is added."""
    x = values(1, 1, 24, 24).astype(np.float32)
    corners = [(a, a + side) for a in (-13, -6, -2, 0, 3) for side in range(2, 14)]
    rois = np.array([[0, a, a, b, b] for a, b in corners], np.float32)
    for count in (3, 5, 6, 7):
        settings = f"pooled_h: {count} pooled_w: {count} spatial_scale: 1"
        net = run_layer(region_layer(settings), x=x, rois=rois, dtype=np.float32)
        for number, (start, end) in enumerate(corners):
            size = np.float32(end - start + 1) / np.float32(count)
            ends = [start + math.ceil(np.float32(i + 1) * size) for i in range(count)]
            starts = [start + math.floor(np.float32(i) * size) for i in range(count)]
            for i in range(count):
                part = x[0, 0][max(starts[i], 0) : max(ends[i], 0)]
                part = part[:, max(starts[i], 0) : max(ends[i], 0)]
                wanted = part.max() if part.size else 0
                assert net.blobs["y"].data[number, 0, i, i] == wanted


@pytest.mark.parametrize(
    "settings",
    [
        "pooled_h: 3 pooled_w: 2 spatial_scale: .25",
        "pooled_h: 2 pooled_w: 2 spatial_scale: .1 pad_ratio: .2",
    ],
)
def test_gradient_goes_to_the_greatest_value(settings: str) -> None:
    x = np.random.default_rng(0).permutation(2 * 2 * 6 * 7).reshape(2, 2, 6, 7) / 10
    check_gradients(region_layer(settings), x=x, rois=ROIS)


@pytest.mark.parametrize(("outputs", "group", "scale"), [(2, 3, 0.25), (3, 2, 0.125)])
def test_each_bin_is_the_mean_of_its_own_channel(
    outputs: int, group: int, scale: float, isa: str
) -> None:
    x = values(2, outputs * group**2, 9, 11)
    settings = f"output_dim: {outputs} group_size: {group} spatial_scale: {scale}"
    y = run_layer(position_layer(settings), x=x, rois=ROIS, dtype=np.float64).blobs["y"].data
    want = np.zeros((len(ROIS), outputs, group, group))
    for number, (image, x0, y0, x1, y1) in enumerate(ROIS):
        left, right = half_up(x0) * scale, (half_up(x1) + 1) * scale
        top, bottom = half_up(y0) * scale, (half_up(y1) + 1) * scale
        for i, rows in enumerate(bins(top, max(bottom - top, 0.1), group, 9)):
            for j, columns in enumerate(bins(left, max(right - left, 0.1), group, 11)):
                if len(rows) and len(columns):
                    for d in range(outputs):
                        plane = x[int(image), (d * group + i) * group + j]
                        want[number, d, i, j] = plane[rows][:, columns].mean()
    np.testing.assert_allclose(y, want, rtol=1e-12)


@pytest.mark.parametrize(("outputs", "group", "scale"), [(2, 2, 0.25), (1, 3, 0.1)])
def test_gradient_is_spread_over_the_bin(outputs: int, group: int, scale: float) -> None:
    settings = f"output_dim: {outputs} group_size: {group} spatial_scale: {scale}"
    x = values(2, outputs * group**2, 6, 7)
    check_gradients(position_layer(settings), x=x, rois=ROIS)


@pytest.mark.parametrize(
    "layer",
    [
        region_layer("pooled_h: 2 pooled_w: 2"),
        position_layer("output_dim: 1 group_size: 2 spatial_scale: 1"),
    ],
)
@pytest.mark.parametrize(
    "region", [[2, 0, 0, 1, 1], [-1, 0, 0, 1, 1], [0, 0, 0, np.nan, 1], [0, 0, 0, 1e30, 1]]
)
def test_a_region_of_no_image_is_refused(layer: str, region: list[float]) -> None:
    rois = np.array([[0, 0, 0, 1, 1], region])
    with pytest.raises(protonet.Error, match=r"region 1 \(.*\) is of none of the 2 images"):
        run_layer(layer, x=values(2, 4, 5, 5), rois=rois)


@pytest.mark.parametrize(
    ("layer", "channels", "message"),
    [
        (region_layer("pooled_h: 2"), 4, "pooled_w must be positive"),
        (region_layer("pooled_h: 2 pooled_w: 2 spatial_scale: 0"), 4, "spatial_scale must be"),
        (region_layer("pooled_h: 2 pooled_w: 2 pad_ratio: -1"), 4, "pad_ratio must not be"),
        (position_layer("output_dim: 2 group_size: 2 spatial_scale: 1"), 4,
         r"4 channels are not output_dim · group_size² = 2 · 2² = 8"),
        (position_layer("output_dim: 1 group_size: 0 spatial_scale: 1"), 4, "group_size must be"),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused(layer: str, channels: int, message: str) -> None:
    with pytest.raises(protonet.Error, match=message):
        run_layer(layer, x=values(2, channels, 5, 5), rois=ROIS)


def test_wrong_shapes_are_refused() -> None:
    layer = region_layer("pooled_h: 2 pooled_w: 2")
    with pytest.raises(protonet.Error, match="regions are R×5, not 3×4"):
        run_layer(layer, x=values(2, 4, 5, 5), rois=np.zeros((3, 4)))
    with pytest.raises(protonet.Error, match="N×C×H×W is needed, not 2×4"):
        run_layer(layer, x=values(2, 4), rois=ROIS)
