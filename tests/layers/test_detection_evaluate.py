"""DetectionEvaluate: right and wrong detections."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gradient_check import layer_net, run_layer

import protonet


def layer(settings: str = "") -> str:
    return (
        'type: "DetectionEvaluate" bottom: "found" bottom: "truth" top: "y" '
        f"detection_evaluate_param {{ num_classes: 3 {settings} }}"
    )


FOUND = np.array(
    [
        [0, 1, 0.5, 0.1, 0.1, 0.5, 0.5],  # the same again
        [0, 1, 0.9, 0.1, 0.1, 0.5, 0.52],
        [0, 2, 0.8, 0.1, 0.1, 0.5, 0.5],  # of another class
        [0, 2, 0.7, 0.6, 0.6, 0.9, 0.9],  # difficult
        [1, 1, 0.6, 0.0, 0.0, 0.2, 0.2],  # nothing there
        [2, -1, -1, -1, -1, -1, -1],
        [3, 2, 0.4, 0.3, 0.3, 0.5, 0.5],  # too far
    ]
)
TRUTH = np.array(
    [
        [0, 1, 0, 0.1, 0.1, 0.5, 0.5, 0],
        [0, 2, 1, 0.6, 0.6, 0.9, 0.9, 1],
        [-1, 0, 0, 0, 0, 0, 0, 0],
        [2, 2, 0, 0.1, 0.1, 0.2, 0.2, 0],
        [3, 2, 0, 0.2, 0.2, 0.5, 0.5, 0],
    ]
)


def rows(settings: str = "", found: np.ndarray = FOUND) -> list[list[float]]:
    net = run_layer(
        layer(settings), dtype=np.float64, found=found[None, None], truth=TRUTH[None, None]
    )
    return net.blobs["y"].data[0, 0].tolist()


def test_a_true_box_is_found_once() -> None:
    assert rows() == [
        [-1, 1, 1, -1, -1],
        [-1, 2, 3, -1, -1],
        [0, 1, 0.9, 1, 0],
        [0, 1, 0.5, 0, 1],
        [0, 2, 0.8, 0, 1],
        [0, 2, 0.7, 1, 0],
        [1, 1, 0.6, 0, 1],
        [3, 2, 0.4, 0, 1],
    ]


def test_a_lower_threshold_accepts_less() -> None:
    assert rows("overlap_threshold: .4")[-1] == [3, 2, 0.4, 1, 0]


def test_difficult_boxes_count_neither_way_if_asked() -> None:
    found = rows("evaluate_difficult_gt: false")
    assert found[:2] == [[-1, 1, 1, -1, -1], [-1, 2, 2, -1, -1]]
    assert found[5] == [0, 2, 0.7, 0, 0]


def test_before_it_runs_it_is_taken_for_all_detections() -> None:
    net = layer_net(layer(), {"found": FOUND[None, None], "truth": TRUTH[None, None]})
    assert net.blobs["y"].shape == (1, 1, 2 + 7, 5)


def test_sizes_of_the_images_make_pixels_of_the_boxes(tmp_path: Path) -> None:
    """In an image of 10×10 pixels the last pixel is inside: 3×3 of 4×4 pixels are .5625."""
    sizes = tmp_path / "sizes"
    sizes.write_text("a 10 10\nb 10 20\nc 5 5\nd 10 10\n")
    assert rows("overlap_threshold: .5")[-1][3:] == [0, 1]
    assert rows(f'overlap_threshold: .5 name_size_file: "{sizes}"')[-1][3:] == [1, 0]


def test_images_are_counted_from_pass_to_pass(tmp_path: Path) -> None:
    sizes = tmp_path / "sizes"
    sizes.write_text("a 10 10\n" * 3)
    net = layer_net(
        layer(f'name_size_file: "{sizes}"'),
        {"found": FOUND[None, None], "truth": TRUTH[None, None]},
    )
    net.forward()
    state = net.layers[-1].state()
    assert state == {"position": 1}
    net.layers[-1].restore({"position": 2})
    net.forward()
    assert net.layers[-1].state() == {"position": 0}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("overlap_threshold: 0", "overlap_threshold must be positive"),
        ("background_label_id: 1", "a box is of class 1, which is the background or none"),
        ("resize_param { resize_mode: FIT_SMALL_SIZE }", "only after WARP"),
        ('name_size_file: "/nowhere"', "/nowhere cannot be read"),
    ],
)
def test_wrong_settings_are_refused(settings: str, message: str) -> None:
    with pytest.raises(protonet.Error, match=message):
        rows(settings)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(protonet.Error, match="1×1×D×7 is needed, not 1×1×7×6"):
        rows(found=FOUND[:, :6])
