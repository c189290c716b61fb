"""Small data sets for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from protonet import Net

MakeDatabase = Callable[..., str]
MakeNet = Callable[..., Net]


def numbered(count: int, channels: int = 3, height: int = 4, width: int = 5) -> list[np.ndarray]:
    """Images of which each pixel of image i is different from the others', modulo 251."""
    size = channels * height * width
    return [
        ((np.arange(size) + 7 * i) % 251).astype(np.uint8).reshape(channels, height, width)
        for i in range(count)
    ]
