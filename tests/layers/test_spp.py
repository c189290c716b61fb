"""SPP beyond the recorded runs."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_check import check_gradients, layer_net, run_layer, values

import protonet
from protonet.ir.protonet_pb2 import TRAIN

SPP = 'type: "SPP" bottom: "x" top: "y" spp_param {{ pyramid_height: {} pool: {} }}'


@pytest.mark.parametrize("pool", ["MAX", "AVE"])
@pytest.mark.parametrize(("height", "size"), [(1, (5, 4)), (2, (5, 4)), (3, (7, 9))])
def test_the_gradients_of_all_levels_are_added(
    pool: str, height: int, size: tuple[int, int]
) -> None:
    x = np.random.default_rng(0).permutation(2 * 3 * size[0] * size[1]).reshape(2, 3, *size) / 10
    check_gradients(SPP.format(height, pool), x=x)


def test_stochastic_levels_draw_from_their_bins() -> None:
    x = values(2, 3, 4, 4, low=0.5)
    net = layer_net(SPP.format(2, "STOCHASTIC"), {"x": x}, phase=TRAIN)
    first = net.forward()["y"].copy()
    assert first.shape == (2, 15)
    assert np.isin(first, x).all()
    assert not np.array_equal(net.forward()["y"], first)
    corner = x[0, 0, :2, :2]
    assert first[0, 3] in corner


@pytest.mark.parametrize(
    ("layer", "shape", "text"),
    [
        (SPP.format(0, "MAX"), (1, 1, 4, 4), "pyramid_height must be at least 1"),
        (SPP.format(3, "MAX"), (1, 1, 5, 5), "cannot be cut into 4×4 bins"),
        (SPP.format(2, "MAX"), (1, 1, 4), "takes N×C×H×W"),
        (SPP.format(2, "STOCHASTIC"), (1, 1, 5, 5), "takes no padding"),
    ],
)
def test_what_cannot_be_is_refused(layer: str, shape: tuple[int, ...], text: str) -> None:
    with pytest.raises(protonet.Error, match=text):
        layer_net(layer, {"x": np.zeros(shape)})


def test_the_pyramid_of_one_level_pools_the_plane() -> None:
    x = values(2, 3, 5, 4)
    net = run_layer(SPP.format(1, "MAX"), x=x)
    np.testing.assert_allclose(net.blobs["y"].data[..., 0, 0], x.max((2, 3)), rtol=1e-6)
