"""Interp, BilinearInterpolate, Resize: bilinear interpolation by three rules."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_check import check_gradients, layer_net, run_layer, values

import protonet
from protonet.layers.sampling import nearest, positions

INTERP = 'type: "Interp" bottom: "x" top: "y" interp_param { %s }'
BILINEAR = 'type: "BilinearInterpolate" bottom: "x" top: "y" bilinear_interpolate_param { %s }'
RESIZE = 'type: "Resize" bottom: "x" top: "y" resize_param { %s }'


def interpolated(x: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Bilinear values of x at all of rows × columns."""

    def along(x: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
        first = np.minimum(np.floor(at).astype(int), x.shape[axis] - 1)
        second = np.minimum(first + 1, x.shape[axis] - 1)
        weight = (at - first).reshape([-1 if a == axis else 1 for a in range(4)])
        return x.take(first, axis) * (1 - weight) + x.take(second, axis) * weight

    return along(along(x, rows, 2), columns, 3)


@pytest.mark.parametrize(
    ("layer", "out", "rule"),
    [
        (INTERP % "height: 9 width: 4", (9, 4), "corners"),
        (INTERP % "height: 1 width: 1", (1, 1), "corners"),
        (INTERP % "zoom_factor: 3", (13, 19), "corners"),
        (INTERP % "shrink_factor: 2", (3, 4), "corners"),
        (INTERP % "shrink_factor: 2 zoom_factor: 2", (5, 7), "corners"),
        (BILINEAR % "dst_h: 9 dst_w: 4", (9, 4), "corners"),
        (BILINEAR % "dst_w: 3 align_corners: false", (5, 3), "centers"),
        (BILINEAR % "scale_factor: 2.5 align_corners: false", (12, 17), "centers"),
        (RESIZE % "height: 9 width: 4", (9, 4), "origin"),
        (
            RESIZE % "is_pyramid_test: true out_height_scale: 0.5 out_width_scale: 2",
            (2, 14),
            "origin",
        ),
    ],
)
def test_pixels_are_interpolated_where_the_rule_says(
    layer: str, out: tuple[int, int], rule: str
) -> None:
    x = values(2, 3, 5, 7)
    y = run_layer(layer, x=x).blobs["y"].data
    want = interpolated(x, positions(5, out[0], rule), positions(7, out[1], rule))
    assert y.shape == (2, 3, *out)
    np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-6)
    check_gradients(layer, x=values(1, 2, 5, 7))


def test_the_same_size_is_a_copy() -> None:
    x = values(2, 3, 5, 7).astype(np.float32)
    for layer in (INTERP % "height: 5 width: 7", RESIZE % "height: 5 width: 7"):
        np.testing.assert_array_equal(run_layer(layer, x=x).blobs["y"].data, x)


def test_corner_pixels_stay_exactly() -> None:
    x = values(1, 1, 713 // 8, 713 // 8).astype(np.float32)
    y = run_layer(INTERP % "height: 713 width: 713", x=x).blobs["y"].data[0, 0]
    for row in (0, -1):
        for column in (0, -1):
            assert y[row, column] == x[0, 0, row, column]


def test_negative_padding_cuts_before_interpolating() -> None:
    x = values(2, 1, 6, 8)
    layer = INTERP % "height: 4 width: 11 pad_beg: -1 pad_end: -2"
    y = run_layer(layer, x=x).blobs["y"].data
    inside = x[:, :, 1:-2, 1:-2]
    want = interpolated(inside, positions(3, 4, "corners"), positions(5, 11, "corners"))
    np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-6)
    check_gradients(layer, x=values(1, 1, 6, 8))


def test_a_second_bottom_gives_the_size() -> None:
    layer = 'type: "Interp" bottom: "x" bottom: "like" top: "y"'
    net = layer_net(layer, {"x": values(1, 2, 3, 4), "like": values(1, 1, 6, 5)})
    assert net.blobs["y"].shape == (1, 2, 6, 5)


@pytest.mark.parametrize("rule", ["origin", "centers", "corners"])
def test_doubling_shows_each_pixel_twice(rule: str) -> None:
    assert nearest(3, 6, rule).tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (INTERP % "", "give either height and width"),
        (INTERP % "height: 3", "go together"),
        (INTERP % "height: 3 width: 3 zoom_factor: 2", "give either height and width"),
        (INTERP % "zoom_factor: 0", "zoom_factor must be at least 1"),
        (INTERP % "height: 3 width: 3 pad_beg: 1", "pad_beg must not be above 0"),
        (INTERP % "zoom_factor: 2 pad_beg: -5", "cut off all"),
        (BILINEAR % "", "give either dst_h and dst_w"),
        (BILINEAR % "dst_h: 2 scale_factor: 2", "give either dst_h and dst_w"),
        (BILINEAR % "scale_factor: 0.1", "the output would be 0×0"),
        (RESIZE % "height: 3", "width must be above 0"),
        (RESIZE % "is_pyramid_test: true out_height_scale: 1", "out_width_scale must be above 0"),
    ],
)
def test_what_cannot_be_is_refused(layer: str, text: str) -> None:
    with pytest.raises(protonet.Error, match=text):
        layer_net(layer, {"x": values(1, 1, 5, 5)})
