"""Dropout: how much it drops, and what the choice depends on."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_check import layer_net

from protonet import Net, kernels
from protonet.ir.protonet_pb2 import TEST, TRAIN


def net_of(settings: str = "", phase: int = TRAIN, size: int = 100_000) -> Net:
    layer = f'type: "Dropout" bottom: "x" top: "y" dropout_param {{ {settings} }}'
    return layer_net(layer, {"x": np.ones((1, size))}, phase=phase, dtype=np.float32)


def masks(net: Net, count: int) -> list[np.ndarray]:
    found = []
    for _ in range(count):
        net.forward()
        found.append(net.blobs["y"].data != 0)
    return found


@pytest.mark.parametrize("ratio", [0, 0.1, 0.5, 0.9])
def test_a_share_of_ratio_is_dropped_and_the_rest_scaled(isa: str, ratio: float) -> None:
    net = net_of(f"dropout_ratio: {ratio}")
    net.forward()
    y = net.blobs["y"].data
    assert (y == 0).mean() == pytest.approx(ratio, abs=0.005)
    np.testing.assert_allclose(y[y != 0], 1 / (1 - ratio), rtol=1e-6)


def test_passes_and_neighbours_are_independent() -> None:
    first, second = masks(net_of(), 2)
    for one, other in (
        (first, second),
        (first[:, 1:], first[:, :-1]),
        (first[:, 256:], first[:, :-256]),
    ):
        assert (one == other).mean() == pytest.approx(0.5, abs=0.01)


def test_the_choice_depends_on_the_seed_alone() -> None:
    before = kernels.isa(), kernels.threads()
    want = masks(net_of(), 3)
    try:
        for isa, threads in ((before[0], 1), (before[0], 3), ("portable", 2), ("scalar", 1)):
            kernels.choose_isa(isa)
            kernels.choose_threads(threads)
            for one, other in zip(masks(net_of(), 3), want, strict=True):
                np.testing.assert_array_equal(one, other)
    finally:
        kernels.choose_isa(before[0])
        kernels.choose_threads(before[1])


def test_the_words_are_those_of_philox() -> None:
    # Known answer for key 0 and counter 0; the ratio lies just above or just below each word.
    words = [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    x = np.ones(256, np.float32)
    y, mask = np.empty_like(x), np.empty(256, np.uint8)
    for position, word in enumerate(words):
        for shift, kept in ((0, 1), (1, 0)):
            kernels.dropout(
                x=x, y=y, mask=mask, state=np.zeros(2, np.uint64), n=256,
                ratio=(word + shift) / 2**32, scale=1,
            )  # fmt: skip
            assert mask[64 * position] == kept


def test_a_restored_state_goes_on_as_if_nothing_had_stopped() -> None:
    net = net_of()
    masks(net, 2)
    saved = net.layers[1].state()
    want = masks(net, 2)
    resumed = net_of()
    resumed.layers[1].restore(saved)
    for one, other in zip(masks(resumed, 2), want, strict=True):
        np.testing.assert_array_equal(one, other)


def test_in_test_nothing_is_dropped_unless_samples_are_asked_for() -> None:
    assert masks(net_of(phase=TEST), 1)[0].all()
    sampled = masks(net_of("sample_weights_test: true", phase=TEST), 1)[0]
    assert sampled.mean() == pytest.approx(0.5, abs=0.01)


def test_scale_train_false_scales_in_test_instead() -> None:
    settings = "scale_train: false dropout_ratio: 0.25"
    net = net_of(settings, phase=TEST)
    net.forward()
    np.testing.assert_array_equal(net.blobs["y"].data, 0.75)
    net = net_of(settings)
    net.forward()
    assert set(np.unique(net.blobs["y"].data)) == {0, 1}


def test_a_layer_that_draws_nothing_has_no_state() -> None:
    assert net_of(phase=TEST).layers[1].state() == {}
