"""YOLO v2: its loss and its output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradient_check import check_gradients, layer_net, run_layer

import protonet
from protonet.layers.boxes import box_overlaps

ANCHORS = [1.0, 1.5, 2.5, 0.75, 3.0, 3.5]
IMAGES, CLASSES, HEIGHT, WIDTH = 2, 4, 3, 5
GRID = (IMAGES, 3, 5 + CLASSES, HEIGHT, WIDTH)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def grid(seed: int = 3) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(scale=0.7, size=(IMAGES, 3 * (5 + CLASSES), HEIGHT, WIDTH))


def biases() -> str:
    return " ".join(f"biases: {number}" for number in ANCHORS)


def predicted(x: np.ndarray) -> np.ndarray:
    """The boxes of all predictors by their corners: image, anchor, row, column, 4."""
    numbers = x.reshape(GRID)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    anchors = np.array(ANCHORS).reshape(3, 2, 1, 1)
    x_middle = (columns + sigmoid(numbers[:, :, 0])) / WIDTH
    y_middle = (rows + sigmoid(numbers[:, :, 1])) / HEIGHT
    width = np.exp(numbers[:, :, 2]) * anchors[:, 0] / WIDTH
    height = np.exp(numbers[:, :, 3]) * anchors[:, 1] / HEIGHT
    middle, size = np.stack([x_middle, y_middle], -1), np.stack([width, height], -1)
    return np.concatenate([middle - size / 2, middle + size / 2], -1)


# ---- the loss


def loss_layer(**settings: Any) -> str:
    given = {"num_class": CLASSES, "num": 3, "thresh": 0.3} | settings
    text = " ".join(
        f'{name}: "{value}"' if isinstance(value, str) else f"{name}: {value}"
        for name, value in given.items()
    )
    return (
        f'type: "RegionLoss" bottom: "x" bottom: "truth" top: "loss" '
        f"region_loss_param {{ {text} {biases()} }}"
    )


TRUTH = [  # image, class, centre, size
    (0, 1, 0.31, 0.42, 0.2, 0.5),
    (0, 3, 0.77, 0.9, 0.55, 0.2),
    (1, 0, 0.1, 0.2, 0.5, 0.9),
    (1, 2, 0.52, 0.48, 0.15, 0.3),
    (1, 1, 0.52, 0.48, 0.16, 0.31),  # takes the place of the one before
]


def corners(x: float, y: float, w: float, h: float) -> list[float]:
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


def truth_rows(first_class: int = 1) -> np.ndarray:
    rows = [[image, label + first_class, 0, *corners(*box), 0] for image, label, *box in TRUTH]
    return np.array([[-1, 0, 0, 0, 0, 1, 1, 0], *rows], float).reshape(1, 1, -1, 8)


def truth_lists() -> np.ndarray:
    lists = np.zeros((IMAGES, 4, 5))
    for image in range(IMAGES):
        rows = [row[1:] for row in TRUTH if row[0] == image]
        lists[image, : len(rows)] = rows
    return lists.reshape(IMAGES, 20)


def expected_loss(x: np.ndarray, parent: list[int] | None = None, **settings: Any) -> float:
    s = {
        "object_scale": 1.0, "noobject_scale": 0.5, "class_scale": 1.0, "coord_scale": 5.0,
        "thresh": 0.3, "rescore": 1, "bias_match": 1,
    } | settings  # fmt: skip
    parent = parent or [-1] * CLASSES
    numbers, boxes = x.reshape(GRID), predicted(x)
    owners = {}
    for image, label, cx, cy, w, h in TRUTH:
        column, row = int(cx * WIDTH), int(cy * HEIGHT)
        shapes = np.array(ANCHORS).reshape(3, 2) / (WIDTH, HEIGHT)
        if not s["bias_match"]:
            shapes = boxes[image, :, row, column, 2:] - boxes[image, :, row, column, :2]
        corner = np.concatenate([-shapes / 2, shapes / 2], -1)
        anchor = int(box_overlaps(np.array([[-w / 2, -h / 2, w / 2, h / 2]]), corner).argmax())
        owners[image, anchor, row, column] = (label, cx, cy, w, h)
    total = 0.0
    for place in np.ndindex(IMAGES, 3, HEIGHT, WIDTH):
        image, anchor, row, column = place
        v = numbers[image, anchor, :, row, column]
        mine = [corners(*box) for number, _, *box in TRUTH if number == image]
        if place not in owners:
            if box_overlaps(boxes[place][None].copy(), np.array(mine)).max() <= s["thresh"]:
                total += 0.5 * s["noobject_scale"] * sigmoid(v[4]) ** 2
            continue
        label, cx, cy, w, h = owners[place]
        true = np.array([corners(cx, cy, w, h)])
        overlap = box_overlaps(boxes[place][None].copy(), true)[0, 0]
        value = np.array([*sigmoid(v[:2]), *v[2:4]])
        wanted = [cx * WIDTH - column, cy * HEIGHT - row]
        wanted += [np.log(w * WIDTH / ANCHORS[2 * anchor]),
                   np.log(h * HEIGHT / ANCHORS[2 * anchor + 1])]  # fmt: skip
        scale = s["coord_scale"] * (1 if s["rescore"] else 2 - w * h)
        total += 0.5 * scale * ((value - wanted) ** 2).sum()
        target = overlap if s["rescore"] else 1
        total += 0.5 * s["object_scale"] * (sigmoid(v[4]) - target) ** 2
        while label >= 0:
            group = [c for c in range(CLASSES) if parent[c] == parent[label]]
            scores = v[5:][group]
            log_sum = np.log(np.exp(scores).sum())
            total += s["class_scale"] * (log_sum - v[5 + label])
            label = parent[label]
    return total / IMAGES


SETTINGS: list[dict[str, Any]] = [
    {"rescore": 0},
    {"rescore": 0, "bias_match": 0, "object_scale": 5.0, "noobject_scale": 1.0, "coord_scale": 1.0},
    {"rescore": 0, "thresh": 0.6, "class_scale": 2.0},
]


@pytest.mark.parametrize("settings", [{}, {"bias_match": 0}, *SETTINGS], ids=str)
@pytest.mark.parametrize("truth", [truth_rows(), truth_lists()], ids=["rows", "lists"])
def test_loss_is_what_the_definition_gives(
    settings: dict[str, Any], truth: np.ndarray, isa: str
) -> None:
    x = grid()
    net = run_layer(loss_layer(**settings), x=x, truth=truth, dtype=np.float64)
    np.testing.assert_allclose(net.loss, expected_loss(x, **settings), rtol=1e-10)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_gradients(settings: dict[str, Any]) -> None:
    check_gradients(loss_layer(**settings), x=grid(), truth=truth_rows())


def test_overlap_is_a_constant_to_the_gradient() -> None:
    """With rescore the gradient is that of objectness pulled to the overlap as it is."""
    x = grid()
    net = layer_net(loss_layer(coord_scale=0.0, class_scale=0.0), {"x": x, "truth": truth_rows()})
    net.forward()
    net.blobs["loss"].diff[...] = 1
    net.backward()
    moved = np.abs(net.blobs["x"].diff.reshape(GRID)).max((0, 1, 3, 4))
    assert (moved[4] > 0, moved[[0, 1, 2, 3, 5]].max()) == (True, 0)


def test_a_tree_of_classes_trains_the_ancestors_too(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.write_text("animal -1\nthing -1\ncat 0\ndog 0\n")
    x, settings = grid(), {"rescore": 0, "softmax_tree": str(tree)}
    truth = truth_rows(first_class=0)
    net = run_layer(loss_layer(**settings), x=x, truth=truth, dtype=np.float64)
    want = expected_loss(x, parent=[-1, -1, 0, 0], rescore=0)
    np.testing.assert_allclose(net.loss, want, rtol=1e-10)
    check_gradients(loss_layer(**settings), x=x, truth=truth)


def test_a_map_tells_the_class_of_each_label(tmp_path: Path) -> None:
    classes = tmp_path / "map"
    classes.write_text("3\n2\n1\n0\n")
    x = grid()
    truth = truth_rows()
    mapped = truth.copy()
    mapped[0, 0, 1:, 1] = 5 - mapped[0, 0, 1:, 1]
    net = run_layer(loss_layer(class_map=str(classes)), x=x, truth=mapped, dtype=np.float64)
    plain = run_layer(loss_layer(), x=x, truth=truth, dtype=np.float64)
    assert net.loss == plain.loss


@pytest.mark.parametrize("label", [0, CLASSES + 1, np.nan])
def test_a_true_box_of_no_class_is_refused(label: float) -> None:
    truth = truth_rows()
    truth[0, 0, 2, 1] = label
    with pytest.raises(protonet.Error, match=f"true box 2 is of class {label:g}"):
        run_layer(loss_layer(), x=grid(), truth=truth)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_class": 5}, r"N×30×H×W is needed \(3 · \(5 \+ 5\) channels\)"),
        ({"num": 5}, "6 biases for 5 anchors"),
        ({"coords": 5}, "boxes have 4 coords, not 5"),
        ({"softmax_tree": "/nowhere"}, "/nowhere cannot be read"),
    ],
)
def test_wrong_loss_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(protonet.Error, match=message):
        run_layer(loss_layer(**settings), x=grid(), truth=truth_rows())


# ---- the output


def output_layer(settings: str = "", bottoms: str = 'bottom: "x"') -> str:
    return (
        f'type: "YoloDetectionOutput" {bottoms} top: "y" yolo_detection_output_param '
        f"{{ num_classes: {CLASSES} num_box: 3 {biases()} {settings} }}"
    )


def expected_rows(grids: list[np.ndarray], least: float, limit: float) -> np.ndarray:
    rows = []
    for image in range(IMAGES):
        boxes, scores, labels = [], [], []
        for x in grids:
            numbers = x.reshape(GRID)[image]
            classes = np.exp(numbers[:, 5:])
            classes /= classes.sum(1, keepdims=True)
            boxes.append(predicted(x)[image].transpose(1, 2, 0, 3).reshape(-1, 4))
            score = sigmoid(numbers[:, 4]) * classes.max(1)
            scores.append(score.transpose(1, 2, 0).reshape(-1))
            labels.append(classes.argmax(1).transpose(1, 2, 0).reshape(-1))
        box, score, label = map(np.concatenate, (boxes, scores, labels))
        kept: list[int] = []
        for p in np.argsort(-score, kind="stable"):
            if score[p] < least:
                break
            if not kept or box_overlaps(box[[p]], box[kept]).max() < limit:
                kept.append(int(p))
        rows += [[image, label[p] + 1, score[p], *box[p]] for p in kept]
    return np.array(rows)


@pytest.mark.parametrize(("least", "limit"), [(0.01, 0.45), (0.3, 0.2), (0.25, 1.0)])
def test_detections_are_what_the_definition_gives(least: float, limit: float, isa: str) -> None:
    x = grid()
    settings = f"confidence_threshold: {least} nms_threshold: {limit}"
    net = run_layer(output_layer(settings), x=x, dtype=np.float64)
    np.testing.assert_allclose(net.blobs["y"].data[0, 0], expected_rows([x], least, limit))


def test_two_grids_are_joined_and_a_picture_is_not() -> None:
    x, z = grid(), grid(4)
    net = run_layer(output_layer("", 'bottom: "x" bottom: "z"'), x=x, z=z, dtype=np.float64)
    want = expected_rows([x, z], 0.01, 0.45)
    np.testing.assert_allclose(net.blobs["y"].data[0, 0], want)
    picture = np.zeros((IMAGES, 3, 8, 8))
    net = run_layer(output_layer("", 'bottom: "x" bottom: "z"'), x=x, z=picture, dtype=np.float64)
    np.testing.assert_allclose(net.blobs["y"].data[0, 0], expected_rows([x], 0.01, 0.45))


@pytest.mark.parametrize("settings", ["", "confidence_threshold: 0.3 nms_threshold: 0.2"])
def test_detection_output_with_biases_is_that_of_yolo(settings: str) -> None:
    x, z = grid(), grid(4)
    bottoms = 'bottom: "x" bottom: "z"'
    want = run_layer(output_layer(settings, bottoms), x=x, z=z).blobs["y"].data
    text = output_layer(settings, bottoms).replace("Yolo", "").replace("yolo_", "")
    assert text.startswith('type: "DetectionOutput"')
    np.testing.assert_array_equal(run_layer(text, x=x, z=z).blobs["y"].data, want)
    with pytest.raises(protonet.Error, match="told by its biases, takes 1 to 2 bottoms"):
        run_layer(text.replace(bottoms, bottoms + ' bottom: "z"'), x=x, z=z)
    with pytest.raises(protonet.Error, match="takes locations, scores and priors"):
        run_layer('type: "DetectionOutput" bottom: "x" top: "y"', x=x)


def test_nothing_found_is_a_row_of_minus_one_for_each_image() -> None:
    y = run_layer(output_layer("confidence_threshold: 1"), x=grid()).blobs["y"].data
    assert y[0, 0].tolist() == [[image, -1, -1, -1, -1, -1, -1] for image in range(IMAGES)]


def test_wrong_output_settings_are_refused() -> None:
    with pytest.raises(protonet.Error, match="biases must be positive"):
        run_layer(output_layer().replace("biases: 3.0", "biases: 0"), x=grid())
    with pytest.raises(protonet.Error, match="does not fit 3 anchors and 4 classes"):
        run_layer(output_layer(), x=grid()[:, 1:])
