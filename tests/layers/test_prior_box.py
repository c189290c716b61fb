"""PriorBox: which boxes stand around a position."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_check import check_gradients, run_layer

import protonet

MAP, IMAGE = np.zeros((1, 1, 2, 3)), np.zeros((1, 3, 20, 60))


def layer(settings: str) -> str:
    return (
        'type: "PriorBox" bottom: "map" bottom: "image" top: "y" '
        f"prior_box_param {{ clip: false {settings} }}"
    )


def boxes_of(settings: str) -> np.ndarray:
    net = run_layer(layer(settings), map=MAP, image=IMAGE, dtype=np.float64)
    assert net.blobs["y"].shape[:2] == (1, 2)
    return net.blobs["y"].data.reshape(2, 2, 3, -1, 4)


def test_boxes_stand_around_the_middle_of_each_cell() -> None:
    boxes = boxes_of("min_size: 10")[0]
    np.testing.assert_allclose(boxes[0, 0, 0], [5 / 60, 0, 15 / 60, 10 / 20])
    np.testing.assert_allclose(boxes[1, 2, 0], [45 / 60, 10 / 20, 55 / 60, 20 / 20])


def test_sizes_come_in_the_order_smallest_mean_ratios() -> None:
    boxes = boxes_of("min_size: 4 min_size: 9 max_size: 9 max_size: 16 aspect_ratio: 4")[0]
    sizes = (boxes[0, 0, :, 2:] - boxes[0, 0, :, :2]) * [60, 20]
    np.testing.assert_allclose(
        sizes, [(4, 4), (6, 6), (8, 2), (2, 8), (9, 9), (12, 12), (18, 4.5), (4.5, 18)]
    )


def test_sizes_are_cut_to_whole_numbers() -> None:
    boxes = boxes_of("min_size: 4.9 max_size: 9.9")[0]
    np.testing.assert_allclose((boxes[0, 0, :, 2] - boxes[0, 0, :, 0]) * 60, [4, 6])


def test_a_ratio_counts_once() -> None:
    assert boxes_of("min_size: 4 aspect_ratio: 2 aspect_ratio: 2 aspect_ratio: 1").shape[3] == 3
    assert boxes_of("min_size: 4 aspect_ratio: 2 aspect_ratio: .5").shape[3] == 3
    assert boxes_of("min_size: 4 aspect_ratio: 2 flip: false").shape[3] == 2


def test_four_variances_repeat_for_each_box() -> None:
    variance = boxes_of("min_size: 4 variance: .1 variance: .2 variance: .3 variance: .4")[1]
    np.testing.assert_allclose(variance, np.broadcast_to([0.1, 0.2, 0.3, 0.4], variance.shape))
    np.testing.assert_allclose(boxes_of("min_size: 4")[1], 0.1)


def test_boxes_depend_on_no_values() -> None:
    check_gradients(layer("min_size: 4"), map=MAP, image=IMAGE)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("", "min_size must be given"),
        ("min_size: 0", "min_size must be at least 1"),
        ("min_size: 4 max_size: 3", "max_size 3 must not be less than min_size 4"),
        ("min_size: 4 max_size: 5 max_size: 6", "2 max_size for 1 min_size"),
        ("min_size: 4 aspect_ratio: 0", "aspect_ratio must be positive"),
        ("min_size: 4 variance: .1 variance: .2", "once or four times, not 2 times"),
        ("min_size: 4 variance: 0", "variance must be positive"),
        ("min_size: 4 img_size: 9 img_h: 9", "give either img_size or img_h and img_w"),
        ("min_size: 4 step_h: 9", "step_w must be positive"),
    ],
)
def test_wrong_settings_are_refused(settings: str, message: str) -> None:
    with pytest.raises(protonet.Error, match=message):
        boxes_of(settings)


def test_leaving_clip_open_is_warned_of() -> None:
    text = layer("min_size: 4").replace("clip: false", "")
    net = run_layer(text, map=MAP, image=IMAGE)
    assert [found.code for found in net.diagnostics] == ["W212"]
