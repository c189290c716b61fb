"""SmoothL1Loss, with and without the weights of Fast R-CNN."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_check import check_gradients, run_layer, values

import protonet

NAMES = ("x", "t", "inside", "outside")


def layer(bottoms: int, settings: str = "") -> str:
    reads = " ".join(f'bottom: "{name}"' for name in NAMES[:bottoms])
    return f'type: "SmoothL1Loss" {reads} top: "loss" {settings}'


def inputs(bottoms: int, *shape: int) -> dict[str, np.ndarray]:
    spread = {"x": 3.0, "t": 1.0, "inside": 1.0, "outside": 2.0}
    return {
        name: values(*shape, seed=seed, low=-spread[name], high=spread[name])
        for seed, name in enumerate(NAMES[:bottoms])
    }


@pytest.mark.parametrize("bottoms", [2, 3, 4])
@pytest.mark.parametrize("sigma", [1, 3])
def test_loss_is_quadratic_near_zero_and_linear_beyond(bottoms: int, sigma: float) -> None:
    given = inputs(bottoms, 4, 700)
    net = run_layer(
        layer(bottoms, f"smooth_l1_loss_param {{ sigma: {sigma} }}"), dtype=np.float64, **given
    )
    d = given["inside"] * (given["x"] - given["t"]) if bottoms > 2 else given["x"] - given["t"]
    near = np.abs(d) < 1 / sigma**2
    each = np.where(near, 0.5 * (sigma * d) ** 2, np.abs(d) - 0.5 / sigma**2)
    want = (each * given.get("outside", 1)).sum() / 4
    np.testing.assert_allclose(net.loss, want, rtol=1e-12)


@pytest.mark.parametrize("bottoms", [2, 3, 4])
def test_gradients(bottoms: int) -> None:
    settings = "smooth_l1_loss_param { sigma: 2 } loss_weight: 0.5"
    check_gradients(layer(bottoms), **inputs(bottoms, 3, 4))
    check_gradients(layer(bottoms, settings), **inputs(bottoms, 2, 3, 2, 2))


def test_wrong_shapes_and_settings_are_refused() -> None:
    with pytest.raises(protonet.Error, match=r"4×2 is not the shape of the first bottom, 4×3"):
        run_layer(layer(2), x=values(4, 3), t=values(4, 2))
    with pytest.raises(protonet.Error, match="sigma must be positive"):
        run_layer(layer(2, "smooth_l1_loss_param { sigma: 0 }"), **inputs(2, 2, 2))
