"""What the layers of YOLO v2 share: the grid of anchors, and the classes' tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from protonet.blob import Blob

from .base import LayerError, Shape, shape_text
from .text_lines import read_lines

__all__ = ["class_tree", "grid_arguments", "judge_anchors", "judge_grid"]


def judge_anchors(biases: Sequence[float], count: int, coords: int, field: str) -> None:
    """Raises LayerError unless there are width and height of each anchor, and 4 coordinates."""
    if len(biases) != 2 * count:
        raise LayerError(
            f"{len(biases)} biases for {count} anchors: width and height of each are needed",
            field=(field, "biases") if biases else (field,),
        )
    for index, value in enumerate(biases):
        if not value > 0:
            raise LayerError("biases must be positive", field=(field, "biases", index))
    if coords != 4:
        raise LayerError(f"boxes have 4 coords, not {coords}", field=(field, "coords"))


def judge_grid(shape: Shape, anchors: int, classes: int, bottom: int) -> None:
    """Raises LayerError unless the shape is N×A(5 + C)×H×W."""
    wanted = anchors * (5 + classes)
    if len(shape) != 4 or shape[1] != wanted:
        raise LayerError(
            f"{shape_text(shape)} does not fit {anchors} anchors and {classes} classes: "
            f"N×{wanted}×H×W is needed ({anchors} · (5 + {classes}) channels)",
            bottom=bottom,
        )


def grid_arguments(blob: Blob, biases: Sequence[float], classes: int) -> dict[str, Any]:
    """Returns what kernels are told of a grid."""
    images, _, height, width = blob.shape
    return {
        "x": blob.data, "anchor_sizes": np.array(biases, blob.dtype), "images": images,
        "anchors": len(biases) // 2, "classes": classes, "height": height, "width": width,
    }  # fmt: skip


def class_tree(path: str, classes: int, *field: str) -> dict[str, np.ndarray]:
    """Reads a tree of classes: a line `name parent` for each, parent −1 for a root; the children of
    one parent stand together. An empty path: all classes are roots."""
    parent = np.full(classes, -1, np.int64)
    if path:
        lines = read_lines(path, *field)
        try:
            parent = np.array([int(line.split()[1]) for line in lines], np.int64)
        except (IndexError, ValueError):
            raise LayerError(
                f"{path} is no tree: a line is a name and its parent's number",
                field=field, code="E451",
            ) from None  # fmt: skip
        if len(parent) != classes:
            raise LayerError(f"{path} has {len(parent)} classes, not {classes}", field=field)
        if (parent >= np.arange(classes)).any() or (parent < -1).any():
            raise LayerError(f"{path}: a parent must stand before its children", field=field)
    first = np.flatnonzero(np.diff(parent, prepend=-2))
    size = np.diff(first, append=classes)
    return {
        "parent": parent,
        "group_start": np.repeat(first, size),
        "group_size": np.repeat(size, size),
    }
