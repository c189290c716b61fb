"""ContrastiveLoss and L1Loss beyond the recorded runs."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_check import check_gradients, layer_net, run_layer, values

import protonet

CONTRASTIVE = 'type: "ContrastiveLoss" bottom: "a" bottom: "b" bottom: "s" top: "loss"'
L1 = 'type: "L1Loss" bottom: "a" bottom: "b" top: "loss"'
ONE = L1.replace(' bottom: "b"', "")


@pytest.mark.parametrize(
    ("margin", "legacy", "size", "rtol"),
    # 1e-4 is in Caffe's denominator but not in the formula: far points hardly feel it.
    [(1500, "false", 400.0, 1e-5), (3, "true", 1.0, 1e-5), (0.01, "false", 1.0, 1e-5)],
)
def test_contrastive_loss_has_the_gradient_of_its_value(
    margin: float, legacy: str, size: float, rtol: float
) -> None:
    layer = f"{CONTRASTIVE} contrastive_loss_param {{ margin: {margin} legacy_version: {legacy} }}"
    check_gradients(
        layer, a=size * values(6, 4), b=size * values(6, 4, seed=1), of=["a", "b"],
        s=np.array([1.0, 0, 0, 1, 0, 0]), rtol=rtol, atol=1e-6,
    )  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        "",
        "l1_loss_param { plateau: 0.3 normalize_by_num_entries: true }",
        "l1_loss_param { l2_per_location: true }",
        "l1_loss_param { l2_per_location: true l2_prescale_by_channels: true epsilon: 0.5 }",
        "l1_loss_param { l2_per_location: true plateau: 0.8 normalize_by_num_entries: true }",
    ],
)
def test_l1_loss_has_the_gradient_of_its_value(more: str) -> None:
    check_gradients(f"{L1} {more}", a=values(2, 3, 4, 5), b=values(2, 3, 4, 5, seed=1))
    check_gradients(f"{ONE} {more}", a=values(3, 2, 5))


def test_l1_loss_sums_differences_over_the_batch() -> None:
    net = run_layer(L1, a=np.array([[1.0, 2], [3, 4]]), b=np.array([[0.0, 4], [3, 5]]))
    assert net.loss == (1 + 2 + 0 + 1) / 2
    net.backward()
    np.testing.assert_array_equal(net.blobs["a"].diff, [[0.5, -0.5], [0, -0.5]])
    np.testing.assert_array_equal(net.blobs["b"].diff, [[-0.5, 0.5], [0, 0.5]])


def test_l1_loss_per_location_is_the_length_over_channels() -> None:
    a = np.zeros((1, 2, 1, 3))
    a[0, :, 0, 0], a[0, :, 0, 1] = (3, 4), (0.6, 0.8)
    net = run_layer(f"{ONE} l1_loss_param {{ l2_per_location: true epsilon: 0 }}", a=a)
    np.testing.assert_allclose(net.loss, 6, rtol=1e-6)
    net.backward()
    want = [[[[0.6, 0.6, 0]], [[0.8, 0.8, 0]]]]
    np.testing.assert_allclose(net.blobs["a"].diff, want, rtol=1e-6)


def test_unknown_ground_truth_adds_nothing_to_l1_loss() -> None:
    b = np.array([[[1.0, np.nan, 3, np.nan]], [[np.nan, 2, 2, 2]]])
    by_entries = f"{L1} l1_loss_param {{ normalize_by_num_entries: true }}"
    net = run_layer(by_entries, a=np.zeros_like(b), b=b)
    assert net.loss == (1 + 3 + 2 + 2 + 2) / 5
    net.backward()
    want = [[[-0.2, 0, -0.2, 0]], [[0, -0.2, -0.2, -0.2]]]
    np.testing.assert_allclose(net.blobs["a"].diff, want, rtol=1e-6)
    per_location = run_layer(
        f"{L1} l1_loss_param {{ l2_per_location: true epsilon: 0 }}", a=np.zeros_like(b), b=b
    )
    assert per_location.loss == 10 / 2
    per_location.backward()
    assert np.isfinite(per_location.blobs["a"].diff).all()


def test_a_whole_batch_of_unknown_ground_truth_gives_no_loss() -> None:
    nothing = np.full((1, 1, 2), np.nan)
    layer = f"{L1} l1_loss_param {{ normalize_by_num_entries: true }}"
    assert run_layer(layer, a=np.zeros((1, 1, 2)), b=nothing).loss == 0


@pytest.mark.parametrize(
    ("layer", "shapes", "text"),
    [
        (CONTRASTIVE, {"a": (2, 3), "b": (2, 4), "s": (2,)}, "must have one shape"),
        (CONTRASTIVE, {"a": (2, 3), "b": (2, 3), "s": (3,)}, "marks of similarity"),
        (CONTRASTIVE, {"a": (2, 3, 2), "b": (2, 3, 2), "s": (2,)}, "must be N×C"),
        (L1, {"a": (2, 3), "b": (3, 2)}, "must have one shape"),
        (L1 + " l1_loss_param { epsilon: -1 }", {"a": (2,), "b": (2,)}, "must not be negative"),
    ],
)
def test_what_cannot_be_is_refused(
    layer: str, shapes: dict[str, tuple[int, ...]], text: str
) -> None:
    with pytest.raises(protonet.Error, match=text):
        layer_net(layer, {name: np.zeros(shape) for name, shape in shapes.items()})
