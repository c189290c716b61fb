"""Transformer: pictures to a net's inputs, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import CaffeError
from .images import resize_image

__all__ = ["ChannelError", "MeanError", "Transformer"]

Array = npt.NDArray[Any]


class MeanError(CaffeError, ValueError):
    """A mean that does not fit the input."""


class ChannelError(CaffeError, IndexError):
    """A picture without a channel that channel_swap asks for."""


class Transformer:
    """Makes a net's inputs from H×W×C pictures; `inputs` gives each input's shape by name.

    In this order, each step only where it was set: resize to the input's H×W, transpose,
    channel_swap, · raw_scale, − mean, · input_scale.
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = inputs
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, Array] = {}
        self.input_scale: dict[str, float] = {}

    def _shape(self, in_: str) -> tuple[int, ...]:
        if in_ not in self.inputs:
            raise CaffeError(f"{in_} is not one of the net inputs: {self.inputs}")
        return tuple(self.inputs[in_])

    def preprocess(self, in_: str, data: Array) -> Array:
        """Returns a picture as one example of that input, C×H×W float32."""
        size = self._shape(in_)[2:]
        made: Array = data.astype(np.float32)
        if made.shape[:2] != size:
            made = resize_image(made, size)
        if (order := self.transpose.get(in_)) is not None:
            made = made.transpose(order)
        if (channels := self.channel_swap.get(in_)) is not None:
            if max(channels) >= len(made):
                raise ChannelError(
                    f"channel_swap {','.join(map(str, channels))}: the picture has "
                    f"{len(made)} channels"
                )
            made = made[channels, :, :]
        if (factor := self.raw_scale.get(in_)) is not None:
            made = made * np.float32(factor)
        if (mean := self.mean.get(in_)) is not None:
            made = made - mean.astype(np.float32)
        if (factor := self.input_scale.get(in_)) is not None:
            made = made * np.float32(factor)
        return made

    def deprocess(self, in_: str, data: Array) -> Array:
        """Returns the picture that an example of that input was made from, in the input's size."""
        self._shape(in_)
        made: Array = data.copy().squeeze()
        if (factor := self.input_scale.get(in_)) is not None:
            made /= factor
        if (mean := self.mean.get(in_)) is not None:
            made += mean
        if (factor := self.raw_scale.get(in_)) is not None:
            made /= factor
        if (channels := self.channel_swap.get(in_)) is not None:
            made = made[np.argsort(channels), :, :]
        if (order := self.transpose.get(in_)) is not None:
            made = made.transpose(np.argsort(order))
        return made

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """Sets the order of axes: (2, 0, 1) makes C×H×W of H×W×C."""
        if len(order) != len(self._shape(in_)) - 1:
            raise CaffeError(
                "Transpose order needs to have the same number of dimensions as the input."
            )
        self.transpose[in_] = tuple(order)

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """Sets the order of channels: (2, 1, 0) makes B, G, R of R, G, B."""
        if len(order) != self._shape(in_)[1]:
            raise CaffeError(
                "Channel swap needs to have the same number of dimensions as the input channels."
            )
        self.channel_swap[in_] = tuple(order)

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """Sets the factor before the mean is subtracted: 255 for nets trained on bytes."""
        self._shape(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: Array) -> None:
        """Sets what is subtracted: a value per channel (C), or an image, H×W or C×H×W, which is
        resized to the input's size."""
        shape = self._shape(in_)
        if mean.ndim == 1:
            if len(mean) != shape[1]:
                raise MeanError("Mean channels incompatible with input.")
            mean = mean[:, np.newaxis, np.newaxis]
        else:
            if mean.ndim == 2:
                mean = mean[np.newaxis]
            if mean.ndim != 3:
                raise MeanError("Mean shape invalid")
            if mean.shape[1:] != shape[2:]:
                mean = resize_image(mean.transpose(1, 2, 0), shape[2:]).transpose(2, 0, 1)
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """Sets the factor after the mean is subtracted."""
        self._shape(in_)
        self.input_scale[in_] = scale
