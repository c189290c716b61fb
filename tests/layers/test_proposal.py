"""Proposal: from a region-proposal network's predictions to regions."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_check import layer_net, run_layer

import protonet
from protonet.layers.boxes import Suppression, suppress_boxes
from protonet.layers.proposal import anchor_boxes

IMAGES, HEIGHT, WIDTH = 2, 6, 8


def layer(settings: str, tops: str = 'top: "rois" top: "best"') -> str:
    return (
        f'type: "Proposal" bottom: "scores" bottom: "offsets" bottom: "info" {tops} '
        f"proposal_param {{ {settings} }}"
    )


def inputs(anchors: int, info: list[float]) -> dict[str, np.ndarray]:
    random = np.random.default_rng(anchors)
    return {
        "scores": random.uniform(size=(IMAGES, 2 * anchors, HEIGHT, WIDTH)),
        "offsets": random.normal(scale=0.3, size=(IMAGES, 4 * anchors, HEIGHT, WIDTH)),
        "info": np.tile(info, (IMAGES, 1)),
    }


def expected(
    given: dict[str, np.ndarray], anchors: np.ndarray, stride: int, min_size: float,
    rule: Suppression,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    rows, best = [], []
    for image in range(IMAGES):
        height, width, scale, *more = given["info"][image]
        grid = np.mgrid[:HEIGHT, :WIDTH][::-1].transpose(1, 2, 0) * stride
        moved = (np.tile(grid, 2)[:, :, None] + anchors).reshape(-1, 4)
        t = given["offsets"][image].reshape(-1, 4, HEIGHT, WIDTH).transpose(2, 3, 0, 1)
        t = t.reshape(-1, 4)
        size = moved[:, 2:] - moved[:, :2] + 1
        centre = moved[:, :2] + size / 2 + t[:, :2] * size
        half = np.exp(t[:, 2:]) * size / 2
        boxes = np.concatenate([centre - half, centre + half], -1)
        boxes = np.clip(boxes, 0, np.array([width, height, width, height]) - 1)
        scores = given["scores"][image, len(anchors) :].transpose(1, 2, 0).reshape(-1).copy()
        sides = boxes[:, 2:] - boxes[:, :2] + 1
        least = min_size * np.array([more[0] if more else scale, scale])
        scores[(sides < least).any(1)] = -np.inf
        kept = suppress_boxes(np.ascontiguousarray(boxes), scores, rule)
        rows.append(np.concatenate([np.full((len(kept), 1), image), boxes[kept]], 1))
        best.append(scores[kept])
    return np.concatenate(rows), np.concatenate(best)


def test_anchors_are_those_of_the_paper() -> None:
    """As generate_anchors.py of py-faster-rcnn prints them for a square of 16."""
    anchors = anchor_boxes(16, [0.5, 1, 2], [8, 16, 32])
    assert anchors[:4].tolist() == [
        [-84, -40, 99, 55], [-176, -88, 191, 103], [-360, -184, 375, 199], [-56, -56, 71, 71],
    ]  # fmt: skip
    assert anchors[6].tolist() == [-36, -80, 51, 95]


@pytest.mark.parametrize(
    ("settings", "anchors", "stride", "min_size", "rule", "info"),
    [
        ("", anchor_boxes(16, [0.5, 1, 2], [8, 16, 32]), 16, 16,
         Suppression(0.7, extra=1, top_k=6000, keep=300), [96, 128, 1]),
        ("feat_stride: 8 base_size: 8 ratio: 1 ratio: 3 scale: 2 scale: 4 min_size: 6 "
         "pre_nms_topn: 50 post_nms_topn: 7 nms_thresh: .4",
         anchor_boxes(8, [1, 3], [2, 4]), 8, 6,
         Suppression(0.4, extra=1, top_k=50, keep=7), [48, 64, 1.5, 3]),
        ("scale: 1 pre_nms_topn: 0 post_nms_topn: 0",
         anchor_boxes(16, [0.5, 1, 2], [1]), 16, 16, Suppression(0.7, extra=1), [96, 128, 1]),
    ],
)  # fmt: skip
def test_regions_are_what_the_definition_gives(
    settings: str, anchors: np.ndarray, stride: int, min_size: float, rule: Suppression,
    info: list[float], isa: str,
) -> None:  # fmt: skip
    given = inputs(len(anchors), info)
    rows, best = expected(given, anchors, stride, min_size, rule)
    net = run_layer(layer(settings), dtype=np.float64, **given)
    np.testing.assert_allclose(net.blobs["rois"].data, rows, rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal(net.blobs["best"].data, best)
    alone = run_layer(layer(settings, 'top: "rois"'), dtype=np.float64, **given)
    np.testing.assert_array_equal(alone.blobs["rois"].data, net.blobs["rois"].data)


def test_before_it_runs_it_is_taken_for_its_most_regions() -> None:
    given = inputs(9, [96, 128, 1])
    net = layer_net(layer("post_nms_topn: 30"), given)
    assert net.blobs["rois"].shape == (60, 5)
    assert net.blobs["best"].shape == (60,)
    net.forward()
    assert net.blobs["rois"].shape[0] < 60 or net.blobs["rois"].data[59, 0] == 1


def test_where_all_are_too_small_there_are_no_regions() -> None:
    net = run_layer(layer("min_size: 1000"), **inputs(9, [96, 128, 1]))
    assert net.blobs["rois"].shape == (0, 5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("scale: 1", r"2×18×6×8 does not fit 3 anchors: N×6×H×W is needed"),
        ("feat_stride: 0", "feat_stride must be at least 1"),
        ("ratio: 0", "ratio must be positive"),
    ],
)
def test_wrong_settings_are_refused(settings: str, message: str) -> None:
    with pytest.raises(protonet.Error, match=message):
        run_layer(layer(settings), **inputs(9, [96, 128, 1]))


def test_wrong_image_information_is_refused() -> None:
    with pytest.raises(protonet.Error, match="image information is 2×3"):
        run_layer(layer(""), **inputs(9, [96, 128]))
