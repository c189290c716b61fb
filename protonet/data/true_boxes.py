"""The true boxes of an image, and what becomes of them when the image is cropped or mirrored.

A box is a row of BOX: class, instance, xmin, ymin, xmax, ymax, difficult; its corners are shares of
the image's width and height. (Liu et al. 2016)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protonet.ir.protonet_pb2 import AnnotatedDatum, EmitConstraint

__all__ = ["CORNERS", "Boxes", "areas", "boxes_of", "emitted", "mirrored", "overlaps"]

Boxes = npt.NDArray[np.float32]
"""R×7."""

CORNERS = slice(2, 6)
Rectangle = tuple[float, float, float, float]
"""xmin, ymin, xmax, ymax."""


def boxes_of(record: AnnotatedDatum) -> Boxes:
    """Returns the boxes of a record, group after group."""
    rows = [
        (
            group.group_label, one.instance_id, one.bbox.xmin, one.bbox.ymin, one.bbox.xmax,
            one.bbox.ymax, one.bbox.difficult,
        )
        for group in record.annotation_group
        for one in group.annotation
    ]  # fmt: skip
    return np.array(rows, np.float32).reshape(-1, 7)


def areas(corners: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Returns the areas of boxes given by their corners; 0 where a corner is on the wrong side."""
    sides = np.maximum(corners[:, 2:] - corners[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1])


def overlaps(corners: npt.NDArray[np.float32], part: Rectangle) -> npt.NDArray[np.float32]:
    """Returns the areas that boxes and a rectangle have in common."""
    edges = np.array(part, np.float32)
    common = np.concatenate(
        [np.maximum(corners[:, :2], edges[:2]), np.minimum(corners[:, 2:], edges[2:])], axis=1
    )
    return areas(common)


def emitted(boxes: Boxes, part: Rectangle, constraint: EmitConstraint | None) -> Boxes:
    """Returns the boxes as shares of a part of the image, clipped to it: those that touch it and,
    with a constraint, have their centre in it or more than a share of their area."""
    corners = boxes[:, CORNERS]
    keep = overlaps(corners, part) > 0
    if constraint is not None and constraint.emit_type == EmitConstraint.CENTER:
        middle = (corners[:, :2] + corners[:, 2:]) / 2
        edges = np.array(part, np.float32)
        keep &= ((middle >= edges[:2]) & (middle <= edges[2:])).all(axis=1)
    elif constraint is not None:
        share = overlaps(corners, part) / np.maximum(areas(corners), np.float32(1e-12))
        keep &= share > constraint.emit_overlap
    found = boxes[keep].copy()
    xmin, ymin, xmax, ymax = part
    origin = np.array([xmin, ymin] * 2, np.float32)
    size = np.array([xmax - xmin, ymax - ymin] * 2, np.float32)
    found[:, CORNERS] = ((found[:, CORNERS] - origin) / size).clip(0, 1)
    return found[areas(found[:, CORNERS]) > 0]


def mirrored(boxes: Boxes) -> Boxes:
    """Returns the boxes of the image turned left to right."""
    found = boxes.copy()
    found[:, 2], found[:, 4] = 1 - boxes[:, 4], 1 - boxes[:, 2]
    return found
