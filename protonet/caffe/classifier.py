"""Classifier: a net with the preparation of its pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from protonet.layers.base import TEST

from . import io
from .errors import CaffeError
from .net import Net
from .picture_net import prepared

__all__ = ["Classifier"]

Array = npt.NDArray[Any]
FilePath = str | os.PathLike[str]


class Classifier(Net):
    """A net that classifies H×W×C pictures, of any size, R, G, B, from 0 to 1.

    They are resized to `image_dims` (H, W), and pieces of the input's size are cut from them; see
    Transformer for the other settings.
    """

    def __init__(
        self,
        model_file: FilePath,
        pretrained_file: FilePath | None,
        image_dims: Sequence[int] | None = None,
        mean: Array | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        Net.__init__(self, model_file, TEST, weights=pretrained_file)
        self.transformer = prepared(self, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims = np.array(self.blobs[self.inputs[0]].shape[2:])
        self.image_dims = self.crop_dims if image_dims is None else np.array(image_dims)

    def predict(self, inputs: Sequence[Array], oversample: bool = True) -> Array:
        """Returns one row of the net's output for each of N pictures.

        With `oversample` it is the mean over ten pieces: corners, centre, mirror images; otherwise
        that of the centre. Raises CaffeError if `image_dims` are less than the input's size.
        """
        if np.any(self.image_dims < self.crop_dims):
            (rows, columns), (height, width) = self.image_dims, self.crop_dims
            raise CaffeError(
                f"image_dims {rows}×{columns} are less than the net's input, {height}×{width}"
            )
        pictures = [io.resize_image(picture, self.image_dims) for picture in inputs]
        if oversample:
            pieces = io.oversample(pictures, self.crop_dims)
        else:
            top, left = (int(space) for space in (self.image_dims - self.crop_dims) / 2)
            height, width = self.crop_dims
            pieces = np.stack([p[top : top + height, left : left + width] for p in pictures])
        name = self.inputs[0]
        fed = np.stack([self.transformer.preprocess(name, piece) for piece in pieces])
        predictions = self._run({name: fed})[self.outputs[0]]
        if oversample:
            predictions = predictions.reshape(len(pictures), 10, -1).mean(1)
        return predictions

    def _run(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """Returns the outputs for any number of prepared pieces; every blob can be looked at."""
        return self.forward_all(None, **inputs)
