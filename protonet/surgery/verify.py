"""How far a net that slides is from the net it was made of, run on each window by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .fc_to_conv import SlidingNet
from .input_shape import image_input
from .reach import reach_of
from .running import run, running_net
from .trained_net import TrainedNet

__all__ = ["Verification", "verify_sliding", "window_edges"]

_BATCH = 8


@dataclass
class Verification:
    """One output's differences, H'×W': the largest over its channels, relative to the largest
    value of all windows; `border` marks the windows that touch the image's border."""

    output: str
    differences: npt.NDArray[np.floating[Any]]
    border: npt.NDArray[np.bool_]
    stride: tuple[int, int]

    @property
    def inside(self) -> float | None:
        """The largest difference of a window that does not touch the border; None: there is none"""
        return float(self.differences[~self.border].max()) if (~self.border).any() else None

    @property
    def at_border(self) -> float | None:
        """The largest difference of a window that touches the border; None: there is none."""
        return float(self.differences[self.border].max()) if self.border.any() else None


def verify_sliding(
    original: TrainedNet, sliding: SlidingNet, image: npt.NDArray[Any]
) -> list[Verification]:
    """Runs both nets over a C×H×W image, the original one on each window, and compares.

    Every output of the original that is a score for each class (a map of 1×1) is compared.
    """
    name, shape = image_input(original)
    window = (shape[2], shape[3])
    slides = running_net(sliding.trained, (image.shape[1], image.shape[2]))
    run(slides, name, image[None])
    graph = sliding.trained.view().graph
    one = running_net(original, window)
    found = []
    for old in one.outputs:
        new = sliding.renamed.get(old, old)
        reach = reach_of(graph, new)
        if reach is None or new not in slides.outputs:
            continue
        stride = (int(reach.stride[0]), int(reach.stride[1]))
        rows, columns = ((image.shape[1 + a] - window[a]) // stride[a] + 1 for a in range(2))
        map_ = slides.blobs[new].data[0][:, :rows, :columns]
        alone = np.empty_like(map_)
        places = [(i, j) for i in range(rows) for j in range(columns)]
        for batch in _batches(places):
            crops = [
                image[:, i * stride[0] :, j * stride[1] :][:, : window[0], : window[1]]
                for i, j in batch
            ]
            run(one, name, np.stack(crops))
            scores = one.blobs[old].data.reshape(len(batch), -1)
            for (i, j), score in zip(batch, scores, strict=True):
                alone[:, i, j] = score
        scale = max(float(np.abs(alone).max()), np.finfo(np.float32).tiny)
        differences = np.abs(map_ - alone).max(axis=0) / scale
        border = window_edges((rows, columns), stride, window, image.shape[1:])
        found.append(Verification(new, differences, border, stride))
    return found


def window_edges(
    grid: tuple[int, int],
    stride: tuple[int, int],
    window: tuple[int, int],
    size: tuple[int, ...],
) -> npt.NDArray[np.bool_]:
    """Marks the windows of a grid that have an edge in common with an image of H×W = `size`."""
    marks: list[npt.NDArray[np.bool_]] = []
    for axis in range(2):
        start = np.arange(grid[axis]) * stride[axis]
        marks.append((start == 0) | (start + window[axis] == size[axis]))
    edges: npt.NDArray[np.bool_] = marks[0][:, None] | marks[1][None, :]
    return edges


def _batches(places: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    for start in range(0, len(places), _BATCH):
        yield places[start : start + _BATCH]
