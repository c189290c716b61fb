"""DetectionOutput: what is kept, in which order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gradient_check import layer_net, run_layer

import protonet
from protonet.layers.boxes import BoxCode, box_overlaps, decode_boxes

CODES = {"CORNER": 1, "CENTER_SIZE": 2, "CORNER_SIZE": 3}


def layer(settings: str) -> str:
    return (
        'type: "DetectionOutput" bottom: "loc" bottom: "conf" bottom: "prior" top: "y" '
        f"detection_output_param {{ {settings} }}"
    )


def inputs(images: int, priors: int, classes: int, locations: int = 1) -> dict[str, np.ndarray]:
    random = np.random.default_rng(priors)
    corner, size = random.uniform(0.1, 0.4, (2, priors, 2))
    boxes = np.concatenate([corner, corner + size], -1)
    prior = np.stack([boxes, np.full_like(boxes, 0.1)]).reshape(1, 2, -1)
    return {
        "loc": random.normal(size=(images, priors * locations * 4)),
        "conf": random.uniform(size=(images, priors * classes)),
        "prior": prior,
    }


def expected(
    given: dict[str, np.ndarray], classes: int, *, share: bool = True, background: int = 0,
    code: str = "CORNER", least: float = -np.inf, overlap: float = 0.3, top_k: int = -1,
    keep: int = -1,
) -> np.ndarray:  # fmt: skip
    """The same by the definition, box after box."""
    images = len(given["loc"])
    prior = given["prior"].reshape(2, -1, 4)
    locations = 1 if share else classes
    boxes = np.empty((images, prior.shape[1], locations, 4))
    decode_boxes(given["loc"].reshape(boxes.shape), prior, BoxCode(CODES[code]), boxes)
    scores = given["conf"].reshape(images, -1, classes)
    rows: list[list[float]] = []
    for image in range(images):
        found: list[tuple[float, int, int]] = []
        for c in range(classes):
            if c == background:
                continue
            mine = boxes[image, :, 0 if share else c]
            order = list(np.argsort(-scores[image, :, c], kind="stable"))
            order = [p for p in order if scores[image, p, c] > least]
            kept: list[int] = []
            for p in order if top_k < 0 else order[:top_k]:
                if not kept or box_overlaps(mine[[p]], mine[kept]).max() <= overlap:
                    kept.append(p)
            found += [(scores[image, p, c], c, p) for p in kept]
        if keep >= 0:
            found = sorted(found, key=lambda each: -each[0])[:keep]
        for score, c, p in sorted(found, key=lambda each: (each[1], -each[0])):
            rows.append([image, c, score, *boxes[image, p, 0 if share else c]])
    return np.array(rows)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ("", {}),
        ("background_label_id: -1", {"background": -1}),
        ("background_label_id: 2 confidence_threshold: .5", {"background": 2, "least": 0.5}),
        ("share_location: false", {"share": False}),
        ("share_location: false background_label_id: 1 keep_top_k: 20",
         {"share": False, "background": 1, "keep": 20}),
        ("nms_param { nms_threshold: .6 top_k: 15 } keep_top_k: 30",
         {"overlap": 0.6, "top_k": 15, "keep": 30}),
        ("code_type: CORNER_SIZE nms_param { nms_threshold: .1 }",
         {"code": "CORNER_SIZE", "overlap": 0.1}),
        ("code_type: CENTER_SIZE nms_param { nms_threshold: 1 }",
         {"code": "CENTER_SIZE", "overlap": 1}),
    ],
)  # fmt: skip
def test_detections_are_what_the_definition_gives(
    settings: str, wanted: dict[str, Any], isa: str
) -> None:
    given = inputs(3, 60, 4, 1 if wanted.get("share", True) else 4)
    net = run_layer(layer(f"num_classes: 4 {settings}"), dtype=np.float64, **given)
    want = expected(given, 4, **wanted)
    assert net.blobs["y"].shape == (1, 1, len(want), 7)
    np.testing.assert_allclose(net.blobs["y"].data[0, 0], want, rtol=1e-12)


def test_rows_follow_what_is_found_from_pass_to_pass() -> None:
    given = inputs(2, 20, 2)
    net = layer_net(layer("num_classes: 2 confidence_threshold: .5"), given)
    assert net.blobs["y"].shape == (1, 1, 1, 7)
    for lift in (0.0, -1.0, 0.4, -0.3):
        net.blobs["conf"].data[...] = given["conf"] + lift
        net.forward()
        want = expected(given | {"conf": given["conf"] + lift}, 2, least=0.5)
        if lift == -1:
            nothing = [[image, -1, -1, -1, -1, -1, -1] for image in range(2)]
            want = np.array(nothing)
        np.testing.assert_allclose(net.blobs["y"].data[0, 0], want)


def test_layers_after_it_see_the_new_number_of_rows() -> None:
    given = inputs(1, 30, 2)
    text = layer("num_classes: 2 confidence_threshold: .5")
    text += ' } layer { name: "twice" type: "Scale" bottom: "y" top: "z" scale_param { axis: 3 }'
    net = run_layer(text, dtype=np.float64, **given)
    np.testing.assert_array_equal(net.blobs["z"].data, net.blobs["y"].data)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("", "num_classes must be at least 1"),
        ("num_classes: 3", r"2×40 does not fit 20 priors: N×60 \(20 × 3\) is needed"),
        ("num_classes: 2 share_location: false", r"2×80 does not fit 20 priors: N×160"),
        ("num_classes: 2 nms_param { eta: 0 }", "eta must be above 0"),
        ("num_classes: 2 nms_param { nms_threshold: -1 }", "nms_threshold must not be negative"),
    ],
)
def test_wrong_settings_are_refused(settings: str, message: str) -> None:
    with pytest.raises(protonet.Error, match=message):
        run_layer(layer(settings), **inputs(2, 20, 2))


def test_priors_of_another_shape_are_refused() -> None:
    given = inputs(2, 20, 2)
    given["prior"] = given["prior"].reshape(1, -1)
    with pytest.raises(protonet.Error, match="prior boxes are 1×2×4P, not 1×160"):
        run_layer(layer("num_classes: 2"), **given)


def test_what_it_does_not_write_is_warned_of() -> None:
    settings = 'num_classes: 2 save_output_param { output_directory: "x" }'
    net = run_layer(layer(settings), **inputs(2, 20, 2))
    assert [found.code for found in net.diagnostics] == ["W211"]


def test_the_picture_that_ssd_draws_into_is_allowed() -> None:
    given = inputs(2, 20, 2)
    text = layer("num_classes: 2").replace("top:", 'bottom: "data" top:')
    net = run_layer(text, **given, data=np.zeros((2, 3, 4, 4)))
    np.testing.assert_array_equal(
        net.blobs["y"].data, run_layer(layer("num_classes: 2"), **given).blobs["y"].data
    )
