"""YoloDetectionOutput: YOLO v2's last layer, from predictions to boxes."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from protonet import kernels
from protonet.blob import Blob

from .base import Between, Layer, LayerError, Shape
from .boxes import Suppression
from .registry import register
from .yolo_grid import grid_arguments, judge_anchors, judge_grid

_FIELD = "yolo_detection_output_param"


@register("YoloDetectionOutput")
class YoloDetectionOutput(Layer):
    """The boxes that are left of each image after non-maximum suppression over all classes.

    Shapes:     N×A(5 + C)×H×W (for each anchor x, y, w, h, objectness o, classes), and one more of
                another size → 1×1×R×7: image, class from 1, score, xmin, ymin, xmax, ymax; R is
                known when it runs. Nothing found: N rows of the image and six −1. A second bottom
                of other channels, a picture to draw into, has no effect.
    Parameters: num_classes (C), num_box (A), biases (width and height of each anchor, in cells),
                confidence_threshold (.01), nms_threshold (.45).
    Formula:    centre (i + σ(x), j + σ(y)) / (W, H), size (e^w·a, e^h·b) / (W, H), score
                σ(o) · the greatest of softmax(classes).
    Rules:      scores from the threshold on; a box that overlaps a better one by nms_threshold or
                more is dropped, whatever its class. Rows are in the order of image, falling score.
    Gradient:   none.
    Source:     Redmon and Farhadi 2017 (YOLO v2).
    """

    bottoms = Between(1, 2)
    labels: ClassVar[tuple[int, ...]] = (0, 1)
    dynamic = True
    group = _FIELD

    def setup(self) -> None:
        self.settings = getattr(self.param, self.group)
        self.classes = self.settings.num_classes
        if self.classes < 1:
            raise LayerError("num_classes must be at least 1", field=(self.group, "num_classes"))
        judge_anchors(self.settings.biases, self.settings.num_box, self.settings.coords, self.group)
        self.anchors = self.settings.num_box
        self.least = self.settings.confidence_threshold
        self.overlap = self.settings.nms_threshold

    def _grids(self, shapes: list[Shape]) -> int:
        """Returns how many of the bottoms are grids."""
        return 1 + (len(shapes) == 2 and shapes[1][:2] == shapes[0][:2] and len(shapes[1]) == 4)

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        judge_grid(bottom[0], self.anchors, self.classes, 0)
        return [(1, 1, 1, 7)]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        images, dtype = bottom[0].shape[0], bottom[0].dtype
        grids = bottom[: self._grids([blob.shape for blob in bottom])]
        sizes = [self.anchors * blob.shape[2] * blob.shape[3] for blob in grids]
        count = sum(sizes)
        self.boxes = np.empty((images, count, 4), dtype)
        self.scores = np.empty((images, count), dtype)
        self.found = np.empty((images, count), np.int64)
        self.decode: list[dict[str, Any]] = [
            {
                "grid": grid_arguments(blob, self.settings.biases, self.classes),
                "boxes": self.boxes, "scores": self.scores, "labels": self.found,
                "count": count, "first": sum(sizes[:number]),
            }
            for number, blob in enumerate(grids)
        ]  # fmt: skip
        # A step down: both thresholds are on the other side of "more than" here.
        least = np.nextafter(dtype.type(self.least), dtype.type(-1))
        overlap = np.nextafter(dtype.type(self.overlap), dtype.type(-1))
        self.kept = np.empty((images, count), np.int64)
        self.counts: np.ndarray = np.zeros(images, np.int64)
        self.search: dict[str, Any] = {
            "boxes": self.boxes, "scores": self.scores, "kept": self.kept, "counts": self.counts,
            "images": images, "priors": count, "classes": 1, "locations": 1, "background": -1,
            "most": count, "keep": -1,
            "rule": Suppression(float(overlap), least_score=float(least)).fields,
        }  # fmt: skip

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.decode_boxes()
        kernels.detect(**self.search)
        rows = int(self.counts.sum())
        if not rows:
            top[0].reshape(1, 1, len(self.counts), 7)
            top[0].data.fill(-1)
            top[0].data[0, 0, :, 0] = np.arange(len(self.counts))
            return
        top[0].reshape(1, 1, rows, 7)
        self.write_rows(top[0].data.reshape(rows, 7))

    def decode_boxes(self) -> None:
        """Sets the boxes, scores and labels of all predictors."""
        for arguments in self.decode:
            kernels.yolo_boxes(**arguments)

    def write_rows(self, rows: np.ndarray) -> None:
        """Sets image, class from 1, score and box of each of the detections that are kept."""
        kernels.detection_rows(found=self.search, rows=rows)
        predictor = self.kept[np.arange(self.kept.shape[1]) < self.counts[:, None]]
        image = np.repeat(np.arange(len(self.counts)), self.counts)
        rows[:, 1] = self.found[image, predictor] + 1

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        """The choice of boxes has no gradient."""
