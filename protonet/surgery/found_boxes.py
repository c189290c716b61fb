"""Windows that score high, as boxes in the image, and the best of those that overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Box", "ScaledScores", "best_boxes", "suppressed"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ScaledScores:
    """K×H'×W' scores of windows H×W = `window`, `stride` apart, on the image times `scale`.

    `scale` and the others are (rows, columns), in pixels of the scaled image.
    """

    scores: Array
    scale: tuple[float, float]
    window: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True)
class Box:
    """A window in the image: left, top, right, bottom in pixels, the last two exclusive."""

    box: tuple[float, float, float, float]
    score: float
    class_: int
    scale: float


def best_boxes(
    maps: list[ScaledScores], threshold: float, overlap: float, class_: int | None = None
) -> list[Box]:
    """Returns the windows of at least `threshold`, the best first, without those that overlap a
    better one of their class by more than `overlap` (intersection over union).

    Without `class_` a window is of the class that it scores highest for.
    """
    boxes, scores, classes, scales = [], [], [], []
    for found in maps:
        values = found.scores
        kind = np.full(values.shape[1:], class_) if class_ is not None else values.argmax(axis=0)
        score = np.take_along_axis(values, kind[None], axis=0)[0]
        rows, columns = np.nonzero(score >= threshold)
        top, left = (
            rows * found.stride[0] / found.scale[0],
            columns * found.stride[1] / found.scale[1],
        )
        height, width = (size / s for size, s in zip(found.window, found.scale, strict=True))
        boxes.append(np.stack([left, top, left + width, top + height], axis=1))
        scores.append(score[rows, columns])
        classes.append(kind[rows, columns])
        scales.append(np.full(rows.size, found.scale[0]))
    all_boxes, all_scores = np.concatenate(boxes), np.concatenate(scores)
    all_classes, all_scales = np.concatenate(classes), np.concatenate(scales)
    kept = suppressed(all_boxes, all_scores, all_classes, overlap)
    return [
        Box(
            tuple(float(side) for side in all_boxes[i]),  # type: ignore[arg-type]
            float(all_scores[i]), int(all_classes[i]), float(all_scales[i]),
        )
        for i in kept
    ]  # fmt: skip


def suppressed(boxes: Array, scores: Array, classes: Array, overlap: float) -> list[int]:
    """Returns which boxes stay, best first: greedy non-maximum suppression within each class."""
    order = np.argsort(-scores, kind="stable")
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    while order.size:
        best, rest = int(order[0]), order[1:]
        kept.append(best)
        sides = np.minimum(boxes[best, 2:], boxes[rest, 2:]) - np.maximum(
            boxes[best, :2], boxes[rest, :2]
        )
        shared = sides.clip(min=0).prod(axis=1)
        union = areas[best] + areas[rest] - shared
        order = rest[(classes[rest] != classes[best]) | (shared <= overlap * union)]
    return kept
