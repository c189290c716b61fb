"""EvalDetection: which of YOLO v2's detections are right."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_check import run_layer

import protonet

SIDE, CLASSES = 4, 2
ANCHORS = [(1.0, 1.5), (2.5, 0.75)]
SURE, UNSURE = 6.0, -9.0


def layer(more: str = "", threshold: float = 0.5) -> str:
    biases = " ".join(f"biases: {size}" for anchor in ANCHORS for size in anchor)
    return (
        f'type: "EvalDetection" bottom: "x" bottom: "truth" top: "y" eval_detection_param {{ '
        f"side: {SIDE} num_class: {CLASSES} num_object: 2 nms: 0.4 threshold: {threshold} "
        f"{biases} {more} }}"
    )


def empty(images: int = 2) -> np.ndarray:
    """Predictions of nothing, in the middle of each cell."""
    x = np.zeros((images, 2, 5 + CLASSES, SIDE, SIDE))
    x[:, :, 4] = UNSURE
    return x


def box_of(anchor: int, row: int, column: int) -> list[float]:
    """Corners of a predictor's box, whose numbers are 0."""
    width, height = np.array(ANCHORS[anchor]) / SIDE
    x, y = (column + 0.5) / SIDE, (row + 0.5) / SIDE
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def truth(*rows: tuple[int, int, list[float]]) -> np.ndarray:
    """Rows of image, class from 1, corners."""
    found = [[image, label, 0, *box, 0] for image, label, box in rows]
    return np.array([[-1.0] * 8, *found]).reshape(1, 1, -1, 8)


def evaluated(text: str, x: np.ndarray, true: np.ndarray) -> np.ndarray:
    x = x.reshape(len(x), -1, SIDE, SIDE)
    return run_layer(text, x=x, truth=true, dtype=np.float64).blobs["y"].data


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Image 0: class 1 is found, then again elsewhere wrongly; image 1: class 0 where 1 is."""
    x = empty()
    x[0, 0, 4:, 1, 1] = SURE, 0, 5
    x[0, 0, 4:, 3, 3] = SURE - 1, 0, 5
    x[1, 1, 4:, 2, 1] = SURE, 5, 0
    return x, truth((0, 2, box_of(0, 1, 1)), (1, 2, box_of(1, 2, 1)))


def test_right_and_wrong_detections_are_told_class_by_class() -> None:
    y = evaluated(layer(), *scene())
    assert y.shape == (2, CLASSES + 4 * 2 * SIDE * SIDE)
    share = 1 / (1 + np.exp(-5.0))
    wanted = np.zeros_like(y)
    wanted[0, :10] = 0, 1, 1, sigmoid(SURE) * share, 1, 0, 1, sigmoid(SURE - 1) * share, 0, 1
    wanted[1, :6] = 0, 1, 0, sigmoid(SURE) * share, 0, 1
    np.testing.assert_allclose(y, wanted)


def test_a_true_box_is_found_once() -> None:
    x = empty(1)
    x[0, 0, 4:, 1, 1] = SURE, 5, 0
    x[0, 1, 4:, 1, 1] = SURE - 1, 5, 0  # the other anchor: overlaps by less than 0.4
    y = evaluated(layer(threshold=0.2), x, truth((0, 1, box_of(0, 1, 1))))
    assert y[0, [2, 4, 5]].tolist() == [0, 1, 0]
    assert y[0, [6, 8, 9]].tolist() == [0, 0, 1]


def test_the_worse_of_two_that_overlap_is_dropped_whatever_its_class() -> None:
    x = empty(1)
    x[0, 0, 4:, 1, 1] = SURE, 5, 0
    x[0, 0, 4:, 1, 2] = SURE - 1, 0, 5
    x[0, 0, 0, 1, 2] = -9  # at the left edge of its cell
    x[0, 0, 0, 1, 1] = 9
    y = evaluated(layer(), x, truth())
    assert np.count_nonzero(y) == 2  # one score, one mark of being wrong


def test_lists_say_the_same_as_rows() -> None:
    x, rows = scene()
    lists = np.zeros((2, 15))
    for image, label, box in ((0, 1, box_of(0, 1, 1)), (1, 1, box_of(1, 2, 1))):
        low, high = np.array(box[:2]), np.array(box[2:])
        lists[image, :5] = label, *((low + high) / 2), *(high - low)
    np.testing.assert_array_equal(evaluated(layer(), x, lists), evaluated(layer(), x, rows))


@pytest.mark.parametrize(
    ("kind", "score"), [("OBJ", sigmoid(SURE)), ("PROB", sigmoid(5)), ("MULTIPLY", None)]
)
def test_a_score_is_what_is_asked_for(kind: str, score: float | None) -> None:
    x = empty(1)
    x[0, 1, 4:, 2, 3] = SURE, 0, 5
    y = evaluated(layer(f"score_type: {kind}"), x, truth())
    scores = y[0, CLASSES + 1 :: 4]
    assert scores.max() == pytest.approx(score or sigmoid(SURE) * sigmoid(5))


def test_wrong_settings_and_shapes_are_refused() -> None:
    x, rows = scene()
    for text, true, message in (
        (layer().replace(f"side: {SIDE}", "side: 9"), rows, "has not 9×9 cells"),
        (layer().replace("nms: 0.4", ""), rows, "nms must not be negative"),
        (layer(threshold=0), rows, "threshold must be positive"),
        (layer(), rows[..., :7], "true boxes are"),
        (layer(), truth((0, 3, box_of(0, 1, 1))), "none of the 2 classes"),
        (layer(), truth((2, 1, box_of(0, 1, 1))), "of no image"),
    ):
        with pytest.raises(protonet.Error, match=message):
            evaluated(text, x, true)
