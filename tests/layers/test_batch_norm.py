"""BatchNorm: statistics over several passes, and nets that share them."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_check import layer_net

from protonet.ir.protonet_pb2 import TEST, TRAIN

LAYER = 'type: "BatchNorm" bottom: "x" top: "y" batch_norm_param { moving_average_fraction: %s }'
EPS = float(np.float32(1e-5))  # as the file's field holds it


@pytest.mark.parametrize("fraction", [0, 0.5, 1])
@pytest.mark.parametrize("tail", [(), (2,), (3, 2)])
def test_a_net_that_shares_statistics_normalises_by_all_batches_so_far(
    fraction: float, tail: tuple[int, ...]
) -> None:
    """Batches of several sizes, of one element a channel too, between test passes."""
    random = np.random.default_rng(0)
    axes = (0, *range(2, 2 + len(tail)))
    trained, tested = (
        layer_net(LAYER % fraction, {"x": np.zeros((2, 3, *tail))}, phase=phase)
        for phase in (TRAIN, TEST)
    )
    tested.share_with(trained)
    mean, variance, weight = np.zeros(3), np.zeros(3), 0.0
    for size in (2, 5, 1, 4):
        x = random.normal(4, 3, (size, 3, *tail))
        elements = x.size // 3
        unbiased = elements / (elements - 1) if elements > 1 else 1
        mean = fraction * mean + x.mean(axes)
        variance = fraction * variance + unbiased * x.var(axes)
        weight = fraction * weight + 1
        for net in (trained, tested):
            net.blobs["x"].reshape(*x.shape)
            net.blobs["x"].data[...] = x
            net.forward()
        for blob, wanted in zip(trained.params["layer"], (mean, variance, weight), strict=True):
            np.testing.assert_allclose(blob.data, wanted, rtol=1e-12, atol=1e-12)
        shape = (1, 3, *[1] * len(tail))
        deviation = np.sqrt(variance / weight + EPS).reshape(shape)
        wanted = (x - (mean / weight).reshape(shape)) / deviation
        np.testing.assert_allclose(tested.blobs["y"].data, wanted, rtol=1e-9, atol=1e-9)
