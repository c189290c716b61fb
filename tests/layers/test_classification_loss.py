"""SigmoidCrossEntropyLoss, HingeLoss, MultinomialLogisticLoss, InfogainLoss beyond the recorded
runs: gradients, many positions, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gradient_check import check_gradients, layer_net, run_layer, values

import protonet
from protonet.ir.binary import write_blob

SIGMOID = 'type: "SigmoidCrossEntropyLoss" bottom: "x" bottom: "t" top: "loss"'
HINGE = 'type: "HingeLoss" bottom: "x" bottom: "t" top: "loss"'
MULTINOMIAL = 'type: "MultinomialLogisticLoss" bottom: "x" bottom: "t" top: "loss"'
INFOGAIN = 'type: "InfogainLoss" bottom: "x" bottom: "t" bottom: "h" top: "loss"'


def some_labels(*shape: int, classes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, classes, shape).astype(float)


@pytest.mark.parametrize(
    "more",
    [
        "",
        "loss_param { normalization: FULL }",
        "loss_param { normalization: VALID ignore_label: 1 }",
        "loss_param { normalization: NONE ignore_label: 0 } loss_weight: 3",
    ],
)
def test_sigmoid_loss_has_the_gradient_of_its_value(more: str) -> None:
    targets = np.where(values(3, 4, 2, seed=1) > 0, 1.0, 0.25)
    check_gradients(f"{SIGMOID} {more}", x=values(3, 4, 2, low=-4, high=4), t=targets, of=["x"])


@pytest.mark.parametrize("shape", [(4,), (2, 3, 1, 2, 2)])
def test_sigmoid_loss_divides_by_the_first_axis_of_any_number_of_axes(
    shape: tuple[int, ...],
) -> None:
    x, targets = values(*shape, low=-4, high=4), values(*shape, seed=1, low=0)
    net = run_layer(SIGMOID, x=x, t=targets)
    wanted = np.logaddexp(0, x) - x * targets
    assert net.blobs["loss"].data == pytest.approx(wanted.sum() / shape[0], rel=1e-6)


@pytest.mark.parametrize("norm", ["L1", "L2"])
@pytest.mark.parametrize("shape", [(4, 5), (3, 2, 2, 2)])
def test_hinge_loss_has_the_gradient_of_its_value(norm: str, shape: tuple[int, ...]) -> None:
    labels = some_labels(shape[0], classes=int(np.prod(shape[1:])))
    layer = f"{HINGE} hinge_loss_param {{ norm: {norm} }}"
    check_gradients(layer, x=values(*shape, low=-2, high=2), t=labels, of=["x"])


@pytest.mark.parametrize(("rows", "classes"), [(4, 5), (1, 3)])
def test_multinomial_loss_has_the_gradient_of_its_value(rows: int, classes: int) -> None:
    labels = some_labels(rows, classes=classes)
    x = values(rows, classes, low=0.1)
    check_gradients(MULTINOMIAL, x=x, t=labels, of=["x"], step=1e-6)


@pytest.mark.parametrize(
    ("shape", "labels", "more"),
    [
        ((4, 3), (4,), ""),
        ((2, 4, 3, 2), (2, 3, 2), "loss_param { ignore_label: 2 }"),
        ((2, 3, 5), (2, 3), "infogain_loss_param { axis: -1 } loss_param { normalization: FULL }"),
    ],
)
def test_infogain_loss_has_the_gradient_of_its_value(
    shape: tuple[int, ...], labels: tuple[int, ...], more: str
) -> None:
    classes = 5 if "axis" in more else shape[1]
    check_gradients(
        f"{INFOGAIN} {more}", x=values(*shape, low=-2, high=2), of=["x"],
        t=some_labels(*labels, classes=classes), h=values(classes, classes, seed=2),
    )  # fmt: skip


def test_infogain_with_the_unit_matrix_is_softmax_loss() -> None:
    x, labels = values(2, 7, 30, 20, low=-3, high=3), some_labels(2, 30, 20, classes=7)
    labels[0, :4] = 3
    more = "loss_param { ignore_label: 3 }"
    ours = run_layer(f"{INFOGAIN} {more}", x=x, t=labels, h=np.eye(7))
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    own = np.take_along_axis(p, labels[:, None].astype(int), 1)[:, 0]
    kept = labels != 3
    np.testing.assert_allclose(ours.loss, -np.log(own[kept]).sum() / kept.sum(), rtol=1e-5)


@pytest.mark.parametrize("shape", [(6, 40), (2, 5, 3, 2)])
def test_infogain_counts_no_probability_less_than_1e_20(shape: tuple[int, ...]) -> None:
    classes = shape[1]
    x, h = values(*shape, low=-60, high=60), values(classes, classes, low=0.1, high=2, seed=1)
    labels = some_labels(shape[0], *shape[2:], classes=classes)
    p = np.exp(x - x.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    assert (p < 1e-20).any()
    gain = np.moveaxis(h[labels.astype(int)], -1, 1)
    want = -(gain * np.log(np.maximum(p, 1e-20))).sum() / labels.size
    np.testing.assert_allclose(run_layer(INFOGAIN, x=x, t=labels, h=h).loss, want, rtol=1e-6)


@pytest.mark.parametrize("shape", [(6, 40), (2, 5, 3, 2)])
def test_infogain_of_a_score_that_is_no_number_is_none(shape: tuple[int, ...]) -> None:
    x, h = values(*shape), np.ones((shape[1], shape[1]))
    x[1, 3] = np.nan
    assert np.isnan(run_layer(INFOGAIN, x=x, t=np.zeros((shape[0], *shape[2:])), h=h).loss)


def test_infogain_reads_its_matrix_from_a_file(tmp_path: Path) -> None:
    h, x, labels = values(3, 3), values(4, 3), some_labels(4, classes=3)
    write_blob(tmp_path / "h.binaryproto", h.astype(np.float32).reshape(1, 1, 3, 3))
    layer = INFOGAIN.replace(' bottom: "h"', "")
    layer += f' infogain_loss_param {{ source: "{tmp_path / "h.binaryproto"}" }}'
    by_file = run_layer(layer, x=x, t=labels)
    by_bottom = run_layer(INFOGAIN, x=x, t=labels, h=h.astype(np.float32))
    assert by_file.loss == by_bottom.loss


def test_sums_over_many_elements_are_exact_and_do_not_depend_on_threads() -> None:
    from protonet import kernels

    x, t = values(64, 3000, low=-5, high=5), values(64, 3000, seed=1, low=0)
    want = (np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))).sum() / 64
    found = []
    before = kernels.threads()
    try:
        for threads in (1, 2, 3):
            kernels.choose_threads(threads)
            found.append(run_layer(SIGMOID, x=x, t=t).loss)
    finally:
        kernels.choose_threads(before)
    np.testing.assert_allclose(found[0], want, rtol=1e-6)
    assert len(set(found)) == 1


@pytest.mark.parametrize("layer", [HINGE, MULTINOMIAL, INFOGAIN])
@pytest.mark.parametrize("label", [3, -1, np.nan, 1e30])
def test_a_label_of_no_class_is_told_with_its_place(layer: str, label: float) -> None:
    inputs = {"x": values(4, 3, low=0.1), "t": np.array([0, 1, label, label])}
    if layer == INFOGAIN:
        inputs["h"] = np.eye(3)
    net = layer_net(layer, inputs)
    for _ in range(2):  # recorded, then replayed
        with pytest.raises(protonet.Error, match=r"\(element 2\) is no class: .* 0 to 2") as caught:
            net.forward()
        assert "net.prototxt:" in str(caught.value)
    net.blobs["t"].data[...] = 1
    assert np.isfinite(net.forward()["loss"])


def test_a_target_that_is_not_a_number_is_told() -> None:
    targets = np.array([[0, 1], [np.nan, 1]])
    with pytest.raises(protonet.Error, match="target 2 is not a number"):
        run_layer(SIGMOID, x=values(2, 2), t=targets)


@pytest.mark.parametrize("layer", [SIGMOID, HINGE, MULTINOMIAL, INFOGAIN])
def test_scores_that_are_not_numbers_do_not_hide(layer: str) -> None:
    inputs = {"x": np.array([[0.5, np.nan, 0.25]]), "t": np.ones((1, 3) if layer == SIGMOID else 1)}
    if layer == INFOGAIN:
        inputs["h"] = np.eye(3)
    assert np.isnan(run_layer(layer, **inputs).loss)


@pytest.mark.parametrize(
    ("layer", "shapes", "text"),
    [
        (SIGMOID, {"x": (2, 3), "t": (2, 2)}, "needs as many targets"),
        (SIGMOID, {"x": (2, 3), "t": (6,)}, "the same first dimension"),
        (SIGMOID, {"x": (), "t": ()}, "the same first dimension"),
        (HINGE, {"x": (2, 3), "t": (3,)}, "needs 2 labels"),
        (HINGE, {"x": (2, 3), "t": (1, 2)}, "the same first dimension"),
        (MULTINOMIAL, {"x": (2, 3), "t": (2, 2)}, "needs 2 labels"),
        (INFOGAIN, {"x": (2, 3), "t": (2,), "h": (2, 2)}, "H must be 3×3"),
        (INFOGAIN, {"x": (2, 3, 4), "t": (2,), "h": (3, 3)}, "needs 8 labels"),
        (INFOGAIN, {"x": (2, 3, 4), "t": (8,), "h": (3, 3)}, "the same first dimension"),
        (INFOGAIN.replace(' bottom: "h"', ""), {"x": (2, 3), "t": (2,)}, "matrix H is missing"),
        (
            INFOGAIN + " loss_param { normalize: true }",
            {"x": (2, 3), "t": (2,), "h": (3, 3)},
            "normalize is not possible",
        ),
        (
            INFOGAIN + " infogain_loss_param { axis: 2 }",
            {"x": (2, 3), "t": (2,), "h": (3, 3)},
            "axis 2 is out of range",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    layer: str, shapes: dict[str, tuple[int, ...]], text: str
) -> None:
    with pytest.raises(protonet.Error, match=text):
        layer_net(layer, {name: np.zeros(shape) for name, shape in shapes.items()})


def test_labels_have_no_gradient() -> None:
    net = layer_net(HINGE, {"x": values(2, 3), "t": np.zeros(2)})
    assert net.layers[-1].propagate_down == [True, False]
