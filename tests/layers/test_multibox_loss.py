"""MultiBoxLoss: matching, mining, both losses, and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gradient_check import check_gradients, run_layer

import protonet
from protonet.layers.boxes import (
    BoxCode,
    Suppression,
    box_overlaps,
    decode_boxes,
    encode_boxes,
    suppress_boxes,
)

IMAGES, PRIORS, CLASSES = 3, 24, 3
DEFAULTS: dict[str, Any] = {
    "loc_loss_type": "SMOOTH_L1", "conf_loss_type": "SOFTMAX", "loc_weight": 1.0,
    "share_location": True, "match_type": "PER_PREDICTION", "overlap_threshold": 0.5,
    "use_prior_for_matching": True, "background_label_id": 0, "use_difficult_gt": True,
    "neg_pos_ratio": 3.0, "neg_overlap": 0.5, "code_type": "CENTER_SIZE",
    "encode_variance_in_target": False, "map_object_to_agnostic": False,
    "ignore_cross_boundary_bbox": False, "bp_inside": False, "mining_type": "MAX_NEGATIVE",
    "nms_param": None, "sample_size": 64, "use_prior_for_nms": False, "normalization": "VALID",
    "num_classes": CLASSES,
}  # fmt: skip
CODES = {"CORNER": 1, "CENTER_SIZE": 2, "CORNER_SIZE": 3}


def layer(**settings: Any) -> str:
    settings = {"num_classes": CLASSES, "code_type": "CENTER_SIZE"} | settings
    normalization = settings.pop("normalization", "VALID")
    text = ""
    for name, value in settings.items():
        if name == "nms_param":
            inside = " ".join(f"{key}: {number}" for key, number in value.items())
            text += f"nms_param {{ {inside} }} "
        else:
            text += f"{name}: {str(value).lower() if isinstance(value, bool) else value} "
    return (
        'type: "MultiBoxLoss" bottom: "loc" bottom: "conf" bottom: "prior" bottom: "truth" '
        f'top: "loss" multibox_loss_param {{ {text} }} '
        f"loss_param {{ normalization: {normalization} }} "
        "propagate_down: true propagate_down: true propagate_down: false propagate_down: false"
    )


def inputs(locations: int = 1, classes: int = CLASSES, seed: int = 5) -> dict[str, np.ndarray]:
    """Priors on a grid, some reaching over the border; true boxes near some of them; the second
    image has none, one row is unused, one box is difficult."""
    random = np.random.default_rng(seed)
    corner = random.uniform(-0.05, 0.6, (PRIORS, 2))
    boxes = np.concatenate([corner, corner + random.uniform(0.2, 0.45, (PRIORS, 2))], -1)
    variance = np.broadcast_to([0.1, 0.2, 0.3, 0.4], boxes.shape)
    truth = np.zeros((1, 1, 7, 8))
    for row, (image, label, prior, difficult) in enumerate(
        [(0, 1, 3, 0), (0, 2, 9, 0), (-1, 1, 0, 0), (2, 2, 3, 0), (2, 1, 4, 1), (2, 1, 17, 0),
         (0, 1, 4, 0)]
    ):  # fmt: skip
        near = boxes[prior] + random.uniform(-0.03, 0.03, 4)
        truth[0, 0, row] = [image, label, row, *near, difficult]
    return {
        "loc": random.normal(size=(IMAGES, PRIORS * 4 * locations), scale=0.5),
        "conf": random.normal(size=(IMAGES, PRIORS * classes)),
        "prior": np.stack([boxes, variance]).reshape(1, 2, -1),
        "truth": truth,
    }


class Reference:
    """The loss by its definition, prior after prior."""

    def __init__(self, given: dict[str, np.ndarray], **settings: Any) -> None:
        self.s = DEFAULTS | settings
        self.prior = given["prior"].reshape(2, -1, 4)
        self.code = BoxCode(CODES[self.s["code_type"]], self.s["encode_variance_in_target"])
        self.classes = self.s["num_classes"]
        self.places = 1 if self.s["share_location"] else self.classes
        self.offsets = given["loc"].reshape(IMAGES, PRIORS, self.places, 4)
        self.scores = given["conf"].reshape(IMAGES, PRIORS, self.classes)
        self.decoded = np.empty_like(self.offsets)
        decode_boxes(self.offsets, self.prior, self.code, self.decoded)
        rows = [row for row in given["truth"].reshape(-1, 8) if row[0] >= 0]
        self.truth = [
            [r for r in rows if r[0] == i and (self.s["use_difficult_gt"] or not r[7])]
            for i in range(IMAGES)
        ]

    def matches(self, boxes: np.ndarray, truth: list[np.ndarray]) -> tuple[list[int], np.ndarray]:
        match, best = [-1] * PRIORS, np.zeros(PRIORS)
        if not truth:
            return match, best
        overlaps = box_overlaps(np.ascontiguousarray(boxes), np.array([t[3:7] for t in truth]))
        if self.s["ignore_cross_boundary_bbox"]:
            for p in np.flatnonzero(((boxes < 0) | (boxes > 1)).any(1)):
                match[p], overlaps[p] = -2, 0
        best = overlaps.max(1)
        pairs = overlaps.copy()
        while pairs.max() > 1e-6:
            p, t = np.unravel_index(pairs.argmax(), pairs.shape)
            match[p], pairs[p], pairs[:, t] = int(t), 0, 0
        if self.s["match_type"] == "PER_PREDICTION":
            for p in range(PRIORS):
                if match[p] == -1 and best[p] >= self.s["overlap_threshold"]:
                    match[p] = int(overlaps[p].argmax())
        return match, best

    def label(self, truth: np.ndarray) -> int:
        agnostic = self.s["map_object_to_agnostic"]
        return self.s["background_label_id"] + 1 if agnostic else int(truth[1])

    def location_loss(self, image: int, p: int, place: int, truth: np.ndarray) -> float:
        target = encode_boxes(truth[None, 3:7].copy(), self.prior[:, p : p + 1].copy(), self.code)
        error = self.offsets[image, p, place] - target[0]
        if self.s["bp_inside"]:
            decoded = not self.s["use_prior_for_matching"]
            box = self.decoded[image, p, place] if decoded else self.prior[0, p]
            error[(box < 0) | (box > 1)] = 0
        if self.s["encode_variance_in_target"]:
            error = error / self.prior[1, p]
        if self.s["loc_loss_type"] == "L2":
            return float((error**2).sum() / 2)
        size = np.abs(error)
        return float(np.where(size < 1, size**2 / 2, size - 0.5).sum())

    def class_loss(self, image: int, p: int, labels: set[int]) -> float:
        x = self.scores[image, p]
        if self.s["conf_loss_type"] == "SOFTMAX":
            label = max(labels) if labels else self.s["background_label_id"]
            return float(np.log(np.exp(x).sum()) - x[label])
        target = np.isin(np.arange(self.classes), list(labels))
        return float((np.log1p(np.exp(x)) - x * target).sum())

    def loss(self) -> float:
        location = classes = 0.0
        matched = 0
        for image, truth in enumerate(self.truth):
            by_place = []
            for place in range(self.places):
                mine = truth
                boxes = self.prior[0]
                if not self.s["use_prior_for_matching"]:
                    boxes = self.decoded[image, :, place]
                    if self.places > 1:
                        mine = [t for t in truth if t[1] == place]
                match, best = self.matches(boxes, mine)
                found = [mine[t] if t >= 0 else None for t in match]
                if self.places > 1:
                    found = [t if t is not None and t[1] == place else None for t in found]
                by_place.append(found)
            negative = self.mine(image, match, best, by_place[0]) if truth else set()
            for p in range(PRIORS):
                labels = {self.label(f[p]) for f in by_place if f[p] is not None}
                for place, found in enumerate(by_place):
                    if found[p] is not None:
                        location += self.location_loss(image, p, place, found[p])
                        matched += 1
                if labels or self.s["mining_type"] == "NONE":
                    classes += self.class_loss(image, p, labels)
                elif p in negative:
                    classes += self.class_loss(image, p, {self.s["background_label_id"]})
        divisors = {
            "VALID": matched, "FULL": IMAGES * PRIORS, "BATCH_SIZE": IMAGES, "NONE": 1,
        }  # fmt: skip
        divisor = max(1, divisors[self.s["normalization"]])
        return (self.s["loc_weight"] * location + classes) / divisor

    def mine(self, image: int, match: list[int], best: np.ndarray, found: list[Any]) -> set[int]:
        """Returns the negatives that take part; takes matches out of `found`."""
        hard = self.s["mining_type"] == "HARD_EXAMPLE"
        eligible = [
            p for p in range(PRIORS)
            if hard or (match[p] == -1 and best[p] < self.s["neg_overlap"])
        ]  # fmt: skip
        losses = []
        for p in eligible:
            label = self.s["background_label_id"] if found[p] is None else self.label(found[p])
            losses.append(self.class_loss(image, p, {label}))
            if hard and found[p] is not None:
                losses[-1] += self.location_loss(image, p, 0, found[p])
        count = self.s["sample_size"]
        if not hard:
            count = int(sum(f is not None for f in found) * self.s["neg_pos_ratio"])
        order = list(np.argsort(-np.array(losses), kind="stable"))
        if self.s["nms_param"]:
            decoded = self.decoded[image, :, 0]
            boxes = self.prior[0] if self.s["use_prior_for_nms"] else decoded
            rule = Suppression(
                self.s["nms_param"]["nms_threshold"], least_area=1e-5,
                top_k=self.s["nms_param"].get("top_k", -1),
            )  # fmt: skip
            order = list(suppress_boxes(boxes[eligible], np.array(losses), rule))
        picked = {eligible[i] for i in order[:count]}
        for p in range(PRIORS):
            if hard and found[p] is not None and p not in picked:
                found[p] = None
                match[p] = -3
        return {p for p in picked if match[p] in (-1, -3) and found[p] is None}


CASES: list[dict[str, Any]] = [
    {},
    {"mining_type": "NONE"},
    {"match_type": "BIPARTITE", "loc_weight": 2.0, "normalization": "BATCH_SIZE"},
    {"match_type": "BIPARTITE", "mining_type": "NONE", "normalization": "FULL"},
    {"overlap_threshold": 0.3, "neg_overlap": 0.2, "neg_pos_ratio": 1.5, "normalization": "NONE"},
    {"loc_loss_type": "L2", "code_type": "CORNER"},
    {"conf_loss_type": "LOGISTIC", "code_type": "CORNER_SIZE"},
    {"conf_loss_type": "LOGISTIC", "mining_type": "NONE"},
    {"encode_variance_in_target": True},
    {"encode_variance_in_target": True, "loc_loss_type": "L2", "mining_type": "NONE"},
    {"use_difficult_gt": False},
    {"ignore_cross_boundary_bbox": True},
    {"bp_inside": True, "code_type": "CORNER"},
    {"bp_inside": True, "code_type": "CORNER", "use_prior_for_matching": False},
    {"use_prior_for_matching": False, "overlap_threshold": 0.3},
    {"background_label_id": 2, "truth_label": 1, "neg_overlap": 0.3},
    {"map_object_to_agnostic": True, "num_classes": 2},
    {"mining_type": "HARD_EXAMPLE", "sample_size": 5},
    {"mining_type": "HARD_EXAMPLE", "sample_size": 9, "nms_param": {"nms_threshold": 0.3}},
    {"nms_param": {"nms_threshold": 0.2, "top_k": 8}, "use_prior_for_nms": True},
    {"share_location": False, "mining_type": "NONE"},
    {"share_location": False, "mining_type": "NONE", "use_prior_for_matching": False,
     "overlap_threshold": 0.2},
    {"share_location": False, "mining_type": "NONE", "use_prior_for_matching": False,
     "overlap_threshold": 0.2, "conf_loss_type": "LOGISTIC"},
]  # fmt: skip


def prepared(case: dict[str, Any]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    settings = dict(case)
    classes = settings.get("num_classes", CLASSES)
    given = inputs(1 if settings.get("share_location", True) else classes, classes)
    label = settings.pop("truth_label", None)
    if label is not None:
        given["truth"][..., 1] = label
    return settings, given


@pytest.mark.parametrize("case", CASES, ids=str)
def test_loss_is_what_the_definition_gives(case: dict[str, Any], isa: str) -> None:
    settings, given = prepared(case)
    net = run_layer(layer(**settings), dtype=np.float64, **given)
    np.testing.assert_allclose(net.loss, Reference(given, **settings).loss(), rtol=1e-10)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients(case: dict[str, Any]) -> None:
    settings, given = prepared(case)
    check_gradients(layer(**settings), step=1e-6, rtol=1e-4, **given)


def test_no_true_box_is_no_loss_with_mining() -> None:
    given = inputs()
    given["truth"][..., 0] = -1
    assert run_layer(layer(), **given).loss == 0
    assert run_layer(layer(mining_type="NONE"), **given).loss > 0


def test_only_as_many_true_boxes_as_the_third_axis_has_are_taken() -> None:
    given = inputs()
    wide = np.zeros((1, 2, 7, 20))
    wide.reshape(-1)[:56] = given["truth"].reshape(-1)
    wide.reshape(-1)[56:] = 1
    want = run_layer(layer(), **given).loss
    assert run_layer(layer(), **(given | {"truth": wide})).loss == want
    with pytest.raises(protonet.Error, match="true boxes are 1×1×R×8, not 1×1×7×7"):
        run_layer(layer(), **(given | {"truth": wide[:, :1, :, :7]}))


@pytest.mark.parametrize("label", [0, CLASSES, -1, np.nan])
def test_a_true_box_of_no_class_is_refused(label: float) -> None:
    given = inputs()
    given["truth"][0, 0, 3, 1] = label
    with pytest.raises(protonet.Error, match=f"true box 3 is of class {label:g}"):
        run_layer(layer(), **given)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_classes": 0}, "num_classes must be at least 1"),
        ({"num_classes": 4}, "does not fit 24 priors"),
        ({"share_location": False}, "mining needs share_location: true"),
        ({"do_neg_mining": False}, "do_neg_mining says otherwise"),
        ({"mining_type": "HARD_EXAMPLE", "sample_size": 0}, "sample_size must be at least 1"),
        ({"background_label_id": 3}, "background_label_id 3 is no class"),
        ({"map_object_to_agnostic": True}, "map_object_to_agnostic needs num_classes: 2"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(protonet.Error, match=message):
        run_layer(layer(**settings), **inputs())
