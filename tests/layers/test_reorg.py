"""Reorg, as Darknet does it."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_check import check_gradients, run_layer, values

import protonet


def layer(settings: str) -> str:
    return f'type: "Reorg" bottom: "x" top: "y" reorg_param {{ {settings} }}'


def enlarged(x: np.ndarray, s: int) -> np.ndarray:
    n, channels, height, width = x.shape
    blocks = x.reshape(n, s, s, channels // s**2, height, width)
    return blocks.transpose(0, 3, 4, 1, 5, 2).reshape(n, channels // s**2, height * s, width * s)


def shrunk(x: np.ndarray, s: int) -> np.ndarray:
    """The inverse of `enlarged`, on the numbers of x in the shape of what is enlarged."""
    n, channels, height, width = x.shape
    blocks = x.reshape(n, channels // s**2, height, s, width, s)
    return blocks.transpose(0, 3, 5, 1, 2, 4).reshape(n, channels * s**2, height // s, width // s)


@pytest.mark.parametrize("s", [1, 2, 3])
def test_blocks_become_channels_in_darknets_order(s: int, isa: str) -> None:
    x = values(2, 2 * s**2, 2 * s, 4 * s)
    y = run_layer(layer(f"stride: {s}"), x=x, dtype=np.float64).blobs["y"].data
    np.testing.assert_array_equal(y, shrunk(x, s))


@pytest.mark.parametrize("s", [1, 2, 3])
def test_reversed_channels_become_blocks(s: int, isa: str) -> None:
    x = values(2, 2 * s**2, 3, 5)
    y = run_layer(layer(f"stride: {s} reverse: true"), x=x, dtype=np.float64).blobs["y"].data
    np.testing.assert_array_equal(y, enlarged(x, s))


@pytest.mark.parametrize("reverse", ["true", "false"])
def test_gradients(reverse: str) -> None:
    check_gradients(layer(f"stride: 2 reverse: {reverse}"), x=values(1, 4, 4, 6))
    check_gradients(layer(f"stride: 1 reverse: {reverse}"), x=values(2, 3, 2, 3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("stride: 0", "stride must be at least 1"),
        ("stride: 3", "4 channels are no multiple of 3² = 9"),
        ("", "4×5 positions do not divide into blocks of 2×2"),
    ],
)
def test_wrong_settings_are_refused(settings: str, message: str) -> None:
    with pytest.raises(protonet.Error, match=message):
        run_layer(layer(settings), x=values(1, 4, 4, 5))
