"""Detector: a classifier of windows in pictures (R-CNN, Girshick et al. 2014)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from protonet.layers.base import TEST

from . import io
from .errors import CaffeError
from .net import Net
from .picture_net import prepared

__all__ = ["Detector"]

Array = npt.NDArray[Any]
FilePath = str | os.PathLike[str]
Window = Sequence[float] | Array
_SELECTIVE_SEARCH = "selective_search_ijcv_with_python"


class Detector(Net):
    """A net that classifies windows (ymin, xmin, ymax, xmax) of pictures, each warped to its input.

    `context_pad`: how many pixels of the input around the window show what surrounds it, the mean
    where that is outside the picture. See Transformer for the other settings.
    """

    def __init__(
        self,
        model_file: FilePath,
        pretrained_file: FilePath | None,
        mean: Array | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        Net.__init__(self, model_file, TEST, weights=pretrained_file)
        self.transformer = prepared(self, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def detect_windows(
        self, images_windows: Iterable[tuple[FilePath, Iterable[Window]]]
    ) -> list[dict[str, Any]]:
        """Classifies windows, given as pairs of a picture's file and its windows.

        Returns one {"window", "prediction", "filename"} for each.
        """
        found: list[dict[str, Any]] = []
        fed = []
        name = self.inputs[0]
        for filename, windows in images_windows:
            picture = io.load_image(filename)
            for window in windows:
                crop = self.crop(picture, np.asarray(window))
                fed.append(self.transformer.preprocess(name, crop))
                found.append({"window": window, "filename": filename})
        if not found:
            return found
        predictions = self.forward_all(None, **{name: np.stack(fed)})[self.outputs[0]]
        for detection, prediction in zip(found, predictions, strict=True):
            detection["prediction"] = prediction
        return found

    def detect_selective_search(self, image_fnames: Iterable[FilePath]) -> list[dict[str, Any]]:
        """Classifies the windows that selective search proposes, by a package of that name that
        needs MATLAB; CaffeError if it is not there."""
        names = [os.path.abspath(name) for name in image_fnames]
        try:
            search: Any = import_module(_SELECTIVE_SEARCH)
        except ImportError:
            raise CaffeError(
                f"the package {_SELECTIVE_SEARCH} is not there; give a list of windows instead"
            ) from None
        windows = search.get_windows(names, cmd="selective_search_rcnn")
        return self.detect_windows(zip(names, windows, strict=True))

    def configure_crop(self, context_pad: int | None) -> None:
        """Sets the context, and what fills it outside the picture."""
        name = self.inputs[0]
        if context_pad and 2 * context_pad >= min(self.blobs[name].shape[2:]):
            raise CaffeError(
                f"context_pad {context_pad} leaves nothing of an input of "
                f"{'×'.join(map(str, self.blobs[name].shape[2:]))} to the window"
            )
        # Input axes C×H×W back to a picture's H×W×C, and the mean to a picture's values.
        back = np.argsort(self.transformer.transpose[name])
        self.crop_dims = np.array(self.blobs[name].shape[1:])[back]
        self.context_pad = context_pad or 0
        self.crop_mean = np.zeros(self.crop_dims, np.float32)
        if name in self.transformer.mean:
            mean = self.transformer.mean[name].astype(np.float32)
            if name in self.transformer.channel_swap and len(mean) > 1:
                mean = mean[np.argsort(self.transformer.channel_swap[name])]
            self.crop_mean += mean.transpose(back) / self.transformer.raw_scale.get(name, 1)

    def crop(self, im: Array, window: Array) -> Array:
        """Returns a window of a picture; with context_pad in the input's size, the window in its
        middle."""
        if not self.context_pad:
            top, left, bottom, right = (int(side) for side in window)
            part = im[top:bottom, left:right]
            if part.size == 0:
                raise CaffeError(f"nothing of the picture is in {_text(window)}")
            return part
        crop = self.crop_mean.copy()
        size = crop.shape[:2]
        box = self._with_context(np.asarray(window, np.float64), size)
        full = box[2:] - box[:2] + 1
        scale = size / full
        before = np.round(np.maximum(0, -box[:2]) * scale).astype(int)
        inside = np.clip(box, 0, [*im.shape[:2]] * 2).astype(int)
        shown = inside[2:] - inside[:2] + 1
        if min(inside[2:] - inside[:2]) < 1:
            raise CaffeError(f"nothing of the picture is in {_text(window)}")
        fitted = np.minimum(np.round(shown * scale).astype(int), size - before)
        part = im[inside[0] : inside[2], inside[1] : inside[3]]
        crop[before[0] : before[0] + fitted[0], before[1] : before[1] + fitted[1]] = (
            io.resize_image(part, fitted)
        )
        return crop

    def _with_context(self, window: Array, size: tuple[int, ...]) -> Array:
        """Returns the box that fills the whole input if `window` is to leave context_pad free."""
        half = (window[2:] - window[:2] + 1) / 2
        centre = window[:2] + half
        half = half * (size[1] / (size[1] - 2 * self.context_pad))
        return np.round(np.concatenate([centre - half, centre + half]))


def _text(window: Array) -> str:
    return "the window " + ", ".join(f"{side:g}" for side in window)
