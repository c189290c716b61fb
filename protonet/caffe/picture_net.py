"""What nets have in common that take pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .net import Net
from .transformer import Transformer

__all__ = ["prepared"]


def prepared(
    net: Net,
    mean: npt.NDArray[Any] | None,
    input_scale: float | None,
    raw_scale: float | None,
    channel_swap: Sequence[int] | None,
) -> Transformer:
    """Returns the Transformer for the net's first input: H×W×C pictures become C×H×W."""
    name = net.inputs[0]
    made = Transformer({name: net.blobs[name].data.shape})
    made.set_transpose(name, (2, 0, 1))
    if mean is not None:
        made.set_mean(name, np.asarray(mean))
    if input_scale is not None:
        made.set_input_scale(name, input_scale)
    if raw_scale is not None:
        made.set_raw_scale(name, raw_scale)
    if channel_swap is not None:
        made.set_channel_swap(name, channel_swap)
    return made
