"""Weights for nets that are not trained, with which values neither vanish nor grow."""

from __future__ import annotations

import numpy as np

import protonet

__all__ = ["randomize"]


def randomize(net: protonet.Net, seed: int = 0) -> None:
    """Draws all parameters: filters by their fan-in, factors near 1, variances above 0."""
    random = np.random.default_rng(seed)
    for layer in net.layers:
        for number, blob in enumerate(layer.blobs):
            drawn = random.random(blob.data.shape, np.float32)
            if layer.type == "BatchNorm":
                blob.data[...] = (drawn - 0.5, drawn + 0.5, np.ones_like(drawn))[number]
            elif layer.type == "Scale" and number == 0:
                blob.data[...] = drawn + 0.5
            elif blob.data.ndim > 1:
                fan_in = blob.count / blob.shape[0]
                blob.data[...] = (drawn - 0.5) * np.float32(np.sqrt(24 / fan_in))
            else:
                blob.data[...] = drawn - 0.5
