"""BN: SegNet's and PSPNet's."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_check import check_gradients, layer_net, run_layer, values

import protonet
from protonet.ir.protonet_pb2 import TEST, TRAIN

BN = 'type: "BN" bottom: "x" top: "y" bn_param { %s }'
IN_PLACE = BN.replace('top: "y"', 'top: "x"')
SEGNET = 'scale_filler { type: "constant" value: 2 } shift_filler { type: "constant" value: 0.5 }'
PSPNET = 'slope_filler { type: "constant" value: 2 } bias_filler { type: "constant" value: 0.5 }'


def normalized(x: np.ndarray, eps: float) -> np.ndarray:
    axes = (0, *range(2, x.ndim))
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


@pytest.mark.parametrize("phase", [TRAIN, TEST])
@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (7, 2), (2, 3, 4, 5, 6), (1, 2, 100, 100)])
def test_segnets_takes_the_batchs_statistics_in_every_phase(
    phase: int, shape: tuple[int, ...]
) -> None:
    x = values(*shape, low=3, high=9)
    net = run_layer(BN % SEGNET, phase=phase, x=x)
    np.testing.assert_allclose(net.blobs["y"].data, 2 * normalized(x, 1e-9) + 0.5, atol=1e-5)
    assert [blob.shape for blob in net.params["layer"]] == [(1, shape[1], 1, 1)] * 2


def test_segnets_inference_scales_and_shifts() -> None:
    x = values(2, 3, 4, 5)
    net = run_layer(BN % (SEGNET + " bn_mode: INFERENCE"), x=x)
    np.testing.assert_allclose(net.blobs["y"].data, 2 * x + 0.5, rtol=1e-6)


def test_segnets_gives_its_statistics_as_tops() -> None:
    x = values(4, 3, 5, 6)
    layer = (BN % SEGNET).replace('top: "y"', 'top: "y" top: "mean" top: "variance"')
    net = run_layer(layer, x=x)
    np.testing.assert_allclose(net.blobs["mean"].data[0, :, 0, 0], x.mean((0, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(net.blobs["variance"].data[0, :, 0, 0], x.var((0, 2, 3)), rtol=1e-4)
    assert net.blobs["variance"].shape == (1, 3, 1, 1)


def test_pspnets_gathers_statistics_in_training_and_uses_them_in_test() -> None:
    x = values(4, 3, 5, 6, low=1, high=5)
    layer = BN % (PSPNET + " momentum: 0.75 eps: 0.01")
    start = [np.full(3, v).reshape(1, 3, 1, 1) for v in (2, 0.5, 1, 4)]
    net = run_layer(layer, phase=TRAIN, x=x, parameters=start)
    np.testing.assert_allclose(net.blobs["y"].data, 2 * normalized(x, 0.01) + 0.5, atol=1e-5)
    mean, variance = (blob.data[0, :, 0, 0] for blob in net.params["layer"][2:])
    np.testing.assert_allclose(mean, 0.75 * 1 + 0.25 * x.mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(variance, 0.75 * 4 + 0.25 * x.var((0, 2, 3)), rtol=1e-5)
    test = run_layer(layer, x=x, parameters=start)
    np.testing.assert_allclose(
        test.blobs["y"].data, 2 * (x - 1) / np.sqrt(4.01) + 0.5, rtol=1e-5, atol=1e-6
    )


def test_frozen_uses_and_keeps_its_statistics_and_learns_nothing() -> None:
    x = values(4, 3, 5, 6)
    net = run_layer(BN % (PSPNET + " frozen: true"), phase=TRAIN, x=x)
    np.testing.assert_allclose(net.blobs["y"].data, 2 * x / np.sqrt(1.00001) + 0.5, rtol=1e-5)
    assert net.params["layer"][3].data.tolist() == np.ones((1, 3, 1, 1)).tolist()
    assert not any(p.learnable for p in net.graph.nodes[-1].parameters or ())


@pytest.mark.parametrize("text", [BN, IN_PLACE])
@pytest.mark.parametrize(
    ("fields", "phase"),
    [
        (SEGNET, TEST),
        (SEGNET, TRAIN),
        (SEGNET + " bn_mode: INFERENCE", TRAIN),
        (PSPNET + " eps: 0.1", TRAIN),
        (PSPNET, TEST),
        (PSPNET + " frozen: true", TRAIN),
    ],
)
def test_the_gradient_is_that_of_the_value(text: str, fields: str, phase: int) -> None:
    start = [
        values(1, 2, 1, 1, seed=3, low=0.5), values(1, 2, 1, 1, seed=4),
        np.array([0.1, -0.2]).reshape(1, 2, 1, 1), np.array([1.5, 0.7]).reshape(1, 2, 1, 1),
    ]  # fmt: skip
    x = values(3, 2, 2, 3, low=-2, high=2)
    check_gradients(text % fields, phase=phase, parameters=start, x=x, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('type: "BN" bottom: "x" top: "y"', "SegNet"),
        ('type: "BN" bottom: "x" top: "y"' + " param { lr_mult: 1 }" * 4, "PSPNet"),
    ],
)
def test_without_fields_the_number_of_params_tells_and_it_is_said(text: str, kind: str) -> None:
    net = layer_net(text, {"x": values(2, 3)})
    assert len(net.params["layer"]) == (2 if kind == "SegNet" else 4)
    (note,) = [d for d in net.diagnostics if d.code == "I214"]
    assert kind in note.message


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ("scale_filler { } momentum: 0.5", "cannot be mixed"),
        ("eps: -1", "eps must not be negative"),
        ("momentum: 2", "momentum must be from 0 to 1"),
    ],
)
def test_what_cannot_be_is_refused(fields: str, text: str) -> None:
    with pytest.raises(protonet.Error, match=text):
        layer_net(BN % fields, {"x": values(2, 3)})
