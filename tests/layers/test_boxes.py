"""Box arithmetic: codes, overlaps, suppression."""

from __future__ import annotations

import numpy as np
import pytest

from protonet.ir.protonet_pb2 import PriorBoxParameter
from protonet.layers.boxes import (
    BoxCode,
    Suppression,
    box_overlaps,
    decode_boxes,
    encode_boxes,
    suppress_boxes,
)

CODES = [
    BoxCode(PriorBoxParameter.CodeType.Value(name), in_target)
    for name in ("CORNER", "CENTER_SIZE", "CORNER_SIZE")
    for in_target in (False, True)
]


def random_boxes(count: int, seed: int) -> np.ndarray:
    corner, size = np.random.default_rng(seed).uniform(0.1, 0.5, (2, count, 2))
    return np.concatenate([corner, corner + size], -1)


def priors_of(boxes: np.ndarray) -> np.ndarray:
    return np.stack([boxes, np.broadcast_to([0.1, 0.2, 0.3, 0.4], boxes.shape)])


@pytest.mark.parametrize("code", CODES, ids=str)
def test_decoding_gives_back_what_was_encoded(code: BoxCode, isa: str) -> None:
    boxes, priors = random_boxes(50, 1), priors_of(random_boxes(50, 2))
    decoded = np.empty((1, 50, 1, 4))
    decode_boxes(encode_boxes(boxes, priors, code), priors, code, decoded)
    np.testing.assert_allclose(decoded.reshape(50, 4), boxes, rtol=1e-12)


def test_centre_code_is_relative_to_the_priors_centre_and_size() -> None:
    prior = np.array([[[0.2, 0.2, 0.6, 0.4]], [[0.1, 0.1, 0.2, 0.2]]])
    box = np.empty((1, 1, 1, 4))
    code = BoxCode(PriorBoxParameter.CENTER_SIZE)
    decode_boxes(np.array([1.0, -2.0, 0.0, 5 * np.log(2)]), prior, code, box)
    centre, size = (0.4 + 0.1 * 0.4, 0.3 - 0.2 * 0.2), (0.4, 0.2 * 2)
    expected = [centre[0] - size[0] / 2, centre[1] - size[1] / 2]
    expected += [centre[0] + size[0] / 2, centre[1] + size[1] / 2]
    np.testing.assert_allclose(box.reshape(4), expected)


def test_overlap_is_intersection_over_union() -> None:
    a = np.array([[0.0, 0, 2, 2], [5, 5, 6, 6], [1, 1, 0, 0]])
    b = np.array([[1.0, 1, 3, 3], [2, 0, 4, 2]])
    np.testing.assert_allclose(box_overlaps(a, b), [[1 / 7, 0], [0, 0], [0, 0]])


def test_boxes_of_whole_pixels_are_one_wider() -> None:
    a, b = np.array([[0.0, 0, 1, 1]]), np.array([[1.0, 1, 2, 2]])
    np.testing.assert_allclose(box_overlaps(a, b, extra=1), [[1 / 7]])


def test_suppression_keeps_the_best_of_those_that_overlap(isa: str) -> None:
    boxes = np.array([[0.0, 0, 1, 1], [0, 0, 1, 0.9], [2, 2, 3, 3], [0, 0, 1, 0.8]])
    scores = np.array([0.5, 0.9, 0.1, 0.7])
    assert suppress_boxes(boxes, scores, Suppression(0.5)).tolist() == [1, 2]
    assert suppress_boxes(boxes, scores, Suppression(0.89)).tolist() == [1, 3, 2]
    assert suppress_boxes(boxes, scores, Suppression(0.5, least_score=0.1)).tolist() == [1]


def test_suppression_keeps_equal_scores_in_their_order() -> None:
    boxes = np.stack([np.arange(9.0), np.zeros(9), np.arange(9) + 0.5, np.ones(9)], -1)
    kept = suppress_boxes(boxes, np.array([1.0, 2, 1, 2, 1, 1, 2, 1, 1]), Suppression(0.5))
    assert kept.tolist() == [1, 3, 6, 0, 2, 4, 5, 7, 8]


def test_suppression_stops_at_its_limits() -> None:
    boxes = np.stack([np.arange(9.0), np.zeros(9), np.arange(9) + 0.5, np.ones(9)], -1)
    scores = np.arange(9.0)
    assert suppress_boxes(boxes, scores, Suppression(0.5, top_k=2)).tolist() == [8, 7]
    assert suppress_boxes(boxes, scores, Suppression(0.5, keep=3)).tolist() == [8, 7, 6]
    boxes[8] = 0
    rule = Suppression(0.5, top_k=2, least_area=0.1)
    assert suppress_boxes(boxes, scores, rule).tolist() == [7]


def test_each_kept_box_tightens_the_limit_down_to_a_half() -> None:
    """Overlaps of 0.6 pass at 0.9 · 0.7 = 0.63 but not at 0.63 · 0.7 = 0.44."""
    apart = np.array([[0.0, 0, 1, 1], [10, 0, 11, 1], [0, 0, 1, 0.6], [10, 0, 11, 0.6]])
    scores = np.array([4.0, 3, 2, 1])
    assert suppress_boxes(apart, scores, Suppression(0.9, eta=0.7)).tolist() == [0, 1]
    assert suppress_boxes(apart, scores, Suppression(0.9, eta=0.85)).tolist() == [0, 1, 2]
    assert suppress_boxes(apart, scores, Suppression(0.9)).tolist() == [0, 1, 2, 3]


def test_nan_scores_are_never_kept() -> None:
    boxes = random_boxes(3, 0)
    assert suppress_boxes(boxes, np.array([np.nan, 1, np.nan]), Suppression(1)).tolist() == [1]
