"""EvalDetection: which of YOLO v2's detections are right."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.protonet_pb2 import EvalDetectionParameter

from .base import Between, LayerError, Shape, shape_text
from .registry import register
from .yolo_detection_output import YoloDetectionOutput
from .yolo_grid import judge_anchors

_FIELD = "eval_detection_param"
_LEAST = 0.005  # the least score of a detection, as in darknet


@register("EvalDetection")
class EvalDetection(YoloDetectionOutput):
    """Which of YOLO v2's detections are right: the numbers that average precision is made of.

    Shapes:     A(5 + C) channels of side×side cells for each of N images, and true boxes 1×1×R×8
                (image, or −1; class from 1, instance, corners, difficult) or N×5T (class from 0,
                centre, width, height; of height 0: none) → N×(C + 4·A·side²): of each image the
                number of true boxes of each class; then of each detection class, score, right,
                wrong, in the order of class, falling score; then zeros. A third bottom, the
                images, has no effect.
    Parameters: side (7), num_class (C, 20), num_object (A, 2), biases (width and height of each
                anchor, in cells), nms (the overlap from which a worse detection of any class is
                dropped), threshold (.5, the overlap of a right one), score_type (MULTIPLY: σ(o) ·
                the greatest of softmax(classes); OBJ, PROB: one of both).
    Rules:      detections of a score from .005 on; one is right if of the true boxes of its class
                it overlaps its best by the threshold or more and no better one has, else wrong.
    Gradient:   none.
    Source:     the forks of caffe-yolo; Redmon and Farhadi 2017 (YOLO v2).
    """

    type = "EvalDetection"
    bottoms = Between(2, 3)
    labels: ClassVar[tuple[int, ...]] = (0, 1, 2)

    def setup(self) -> None:
        self.settings = self.param.eval_detection_param
        self.classes, self.anchors = self.settings.num_class, self.settings.num_object
        if self.classes < 1:
            raise LayerError("num_class must be at least 1", field=(_FIELD, "num_class"))
        judge_anchors(self.settings.biases, self.anchors, 4, _FIELD)
        if not self.settings.nms >= 0:
            raise LayerError("nms must not be negative", field=(_FIELD, "nms"))
        if not self.settings.threshold > 0:
            raise LayerError("threshold must be positive", field=(_FIELD, "threshold"))
        self.least, self.overlap = _LEAST, self.settings.nms

    def _grids(self, shapes: list[Shape]) -> int:
        return 1

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        super().infer(bottom)
        images, side = bottom[0][0], self.settings.side
        if bottom[0][2:] != (side, side):
            raise LayerError(
                f"{shape_text(bottom[0])} has not {side}×{side} cells", field=(_FIELD, "side"),
                label=f"the bottom has {shape_text(bottom[0][2:])}",
            )  # fmt: skip
        if not _has_rows(bottom[1]) and (
            bottom[1][:1] != (images,) or math.prod(bottom[1][1:]) % 5
        ):
            raise LayerError(
                f"true boxes are 1×1×R×8 or {images}×5T, not {shape_text(bottom[1])}", bottom=1
            )
        return [(images, self.classes + 4 * self.anchors * side * side)]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.decode_boxes()
        self._score(bottom[0].data)
        kernels.detect(**self.search)
        found = np.empty((int(self.counts.sum()), 7), bottom[0].dtype)
        if len(found):
            self.write_rows(found)
        found = found[np.lexsort((-found[:, 2], found[:, 1], found[:, 0]))]
        truth = self._true_rows(bottom[1].data)
        rows = np.empty((len(found), 5), found.dtype)
        kernels.evaluate_detections(
            found=found, truth=truth, taken=np.zeros(len(truth), np.uint8), rows=rows,
            detections=len(found), truths=len(truth), extra=0, use_difficult=True,
            overlap=self.settings.threshold,
        )  # fmt: skip
        rows[:, 1] -= 1
        y = top[0].data
        y.fill(0)
        np.add.at(y, (truth[:, 0].astype(np.int64), truth[:, 1].astype(np.int64) - 1), 1)
        place = np.arange(len(rows)) - np.repeat(np.cumsum(self.counts) - self.counts, self.counts)
        columns = self.classes + 4 * place[:, None] + np.arange(4)
        y[np.repeat(np.arange(len(y)), self.counts)[:, None], columns] = rows[:, 1:]

    def _score(self, x: np.ndarray) -> None:
        """Replaces the scores where they are not the product."""
        kind = self.settings.score_type
        if kind == EvalDetectionParameter.MULTIPLY:
            return
        images, _, height, width = x.shape
        x = x.reshape(images, self.anchors, -1, height, width).transpose(0, 3, 4, 1, 2)
        if kind == EvalDetectionParameter.OBJ:
            scores = 1 / (1 + np.exp(-x[..., 4]))
        else:
            classes = x[..., 5:]
            scores = 1 / np.exp(classes - classes.max(-1, keepdims=True)).sum(-1)
        self.scores[...] = scores.reshape(images, -1)

    def _true_rows(self, truth: np.ndarray) -> np.ndarray:
        """Returns rows of image, class from 1, instance, corners, difficult; LayerError E208."""
        images = len(self.counts)
        if _has_rows(truth.shape):
            rows = truth.reshape(-1, 8)
            rows = rows[rows[:, 0] != -1]
        else:
            lists = truth.reshape(images, -1, 5)
            image, place = np.nonzero(lists[:, :, 4])
            given = lists[image, place]
            rows = np.zeros((len(given), 8), truth.dtype)
            rows[:, 0], rows[:, 1] = image, given[:, 0] + 1
            rows[:, 3:5], rows[:, 5:7] = (given[:, 1:3] + s * given[:, 3:5] / 2 for s in (-1, 1))
        wrong = np.isnan(rows).any(1) | ~np.isin(rows[:, 1], np.arange(1, self.classes + 1))
        wrong |= ~np.isin(rows[:, 0], np.arange(images))
        if wrong.any():
            row = ", ".join(f"{number:g}" for number in rows[wrong][0])
            raise LayerError(
                f"a true box ({row}: image, class, …) is of no image or of none of the "
                f"{self.classes} classes, or holds what is not a number",
                bottom=1, code="E208",
            )  # fmt: skip
        return np.ascontiguousarray(rows)


def _has_rows(truth: Shape) -> bool:
    return len(truth) == 4 and truth[3] == 8
