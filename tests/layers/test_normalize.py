"""SSD's Normalize."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_check import check_gradients, run_layer, values

SETTINGS = [
    "across_spatial: false channel_shared: false",
    "across_spatial: true channel_shared: false eps: .5",
    "across_spatial: false channel_shared: true",
    "across_spatial: true channel_shared: true",
]


def layer(settings: str) -> str:
    return f'type: "Normalize" bottom: "x" top: "y" norm_param {{ {settings} }}'


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3), (1, 2, 270)])
def test_gradients_are_exact_though_scales_differ(settings: str, shape: tuple[int, ...]) -> None:
    scale = values(*(() if "channel_shared: true" in settings else shape[1:2]), low=1, high=3)
    check_gradients(layer(settings), x=values(*shape), parameters=[scale])


def test_rows_of_features_get_length_one(isa: str) -> None:
    x = values(3, 50)
    y = run_layer(layer("across_spatial: false"), x=x).blobs["y"].data
    np.testing.assert_allclose(y, x / np.linalg.norm(x, axis=1, keepdims=True), rtol=1e-5)


def test_scale_starts_at_one_unless_a_filler_says_otherwise() -> None:
    x = values(1, 2, 1, 1)
    assert run_layer(layer(""), x=x).params["layer"][0].data == 1
    filled = run_layer(layer("channel_shared: false scale_filler { value: 20 }"), x=x)
    assert filled.params["layer"][0].data.tolist() == [20, 20]


def test_a_layer_that_may_be_normface_s_is_warned_of() -> None:
    net = run_layer('type: "Normalize" bottom: "x" top: "y"', x=values(2, 3))
    assert [found.code for found in net.diagnostics] == ["W213"]
