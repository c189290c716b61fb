"""DetectionOutput: SSD's last layer, from predictions to boxes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from protonet import kernels
from protonet.blob import Blob

from .base import TEST, Between, Layer, LayerError, Shape, shape_text
from .boxes import BoxCode, Suppression, count_priors, decode_boxes
from .registry import register
from .yolo_detection_output import YoloDetectionOutput

if TYPE_CHECKING:
    from protonet.ir.protonet_pb2 import LayerParameter

_FIELD = "detection_output_param"


@register("DetectionOutput")
class DetectionOutput(Layer):
    """The boxes that are left of each image after non-maximum suppression class by class.

    Shapes:     locations N×4PL (L is 1, or the number of classes C without share_location), scores
                N×PC, priors 1×2×4P → 1×1×R×7: image, class, score, xmin, ymin, xmax, ymax; R is
                known when it runs. Nothing found: N rows of the image and six −1. A fourth bottom,
                which SSD draws the boxes into, has no effect.
    Parameters: num_classes (C), share_location (true), background_label_id (0; −1 for none),
                code_type (CORNER) and variance_encoded_in_target: see BoxCode;
                confidence_threshold (all), nms_param { nms_threshold (.3), top_k (all), eta (1) },
                keep_top_k (−1: all).
                YOLO v2's: num_classes, num_box (5), biases, confidence_threshold, nms_threshold
                (.45): see YoloDetectionOutput.
    Rules:      two forks have a layer of this name: with biases it is YOLO v2's, of one bottom or
                two, and does what YoloDetectionOutput does; without them SSD's.
                Per image and class but the background: of the scores above the threshold the top_k
                best; suppression; then the keep_top_k best of the image. Rows are in the order of
                image, class, falling score. Boxes are not clipped to the image.
    Gradient:   none.
    Source:     Liu et al. 2016 (SSD); Redmon and Farhadi 2017 (YOLO v2).
    """

    bottoms = Between(1, 4)
    labels: ClassVar[tuple[int, ...]] = (0, 1, 2, 3)
    dynamic = True

    def __new__(cls, param: LayerParameter, phase: int = TEST) -> DetectionOutput:
        return super().__new__(GridDetectionOutput if param.detection_output_param.biases else cls)

    def setup(self) -> None:
        if self.bottom_count < 3:
            raise LayerError(
                "SSD's DetectionOutput takes locations, scores and priors; YOLO's, of one bottom, "
                "is told by its biases",
                field=("bottom", self.bottom_count - 1), code="E104",
            )  # fmt: skip
        self.settings = self.param.detection_output_param
        self.classes = self.settings.num_classes
        if self.classes < 1:
            raise LayerError("num_classes must be at least 1", field=(_FIELD,))
        self.locations = 1 if self.settings.share_location else self.classes
        self.code = BoxCode(self.settings.code_type, self.settings.variance_encoded_in_target)
        least = self.settings.confidence_threshold
        self.rule = Suppression.read(
            self.settings.nms_param, _FIELD,
            least if self.settings.HasField("confidence_threshold") else -math.inf,
        )  # fmt: skip

    def warnings(self) -> list[LayerError]:
        ignored = (
            ("save_output_param", self.settings.save_output_param.output_directory),
            ("visualize", self.settings.visualize),
            ("save_file", self.settings.save_file),
        )
        return [
            LayerError(f"{name} has no effect", field=(_FIELD, name), code="W211")
            for name, asked in ignored
            if asked
        ]

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        priors = count_priors(bottom[2], 2)
        for number, size in enumerate((4 * self.locations, self.classes)):
            shape = bottom[number]
            if len(shape) < 1 or math.prod(shape[1:]) != priors * size:
                raise LayerError(
                    f"{shape_text(shape)} does not fit {priors} priors: "
                    f"N×{priors * size} ({priors} × {size}) is needed",
                    bottom=number,
                    help="see num_classes and share_location",
                )
        if bottom[0][0] != bottom[1][0]:
            raise LayerError(
                f"scores of {bottom[1][0]} images for locations in {bottom[0][0]}", bottom=1
            )
        return [(1, 1, 1, 7)]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        images, priors = bottom[0].shape[0], count_priors(bottom[2].shape, 2)
        most = priors if self.rule.top_k < 0 else min(priors, self.rule.top_k)
        self.boxes = np.empty((images, priors, self.locations, 4), bottom[0].dtype)
        self.counts: np.ndarray = np.zeros((images, self.classes), np.int64)
        self.search: dict[str, Any] = {
            "boxes": self.boxes, "scores": bottom[1].data, "counts": self.counts,
            "kept": np.empty((images, self.classes, most), np.int64),
            "images": images, "priors": priors, "classes": self.classes,
            "locations": self.locations, "background": self.settings.background_label_id,
            "most": most, "keep": self.settings.keep_top_k, "rule": self.rule.fields,
        }  # fmt: skip

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        decode_boxes(bottom[0].data, bottom[2].data, self.code, self.boxes)
        kernels.detect(**self.search)
        rows = int(self.counts.sum())
        if rows:
            top[0].reshape(1, 1, rows, 7)
            kernels.detection_rows(found=self.search, rows=top[0].data)
        else:
            images = len(self.counts)
            top[0].reshape(1, 1, images, 7)
            top[0].data.fill(-1)
            top[0].data[0, 0, :, 0] = np.arange(images)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        """The choice of boxes has no gradient."""


class GridDetectionOutput(YoloDetectionOutput, DetectionOutput):
    """DetectionOutput with biases: YOLO v2's."""

    type = "DetectionOutput"
    bottoms = YoloDetectionOutput.bottoms
    group = _FIELD

    def setup(self) -> None:
        if self.bottom_count not in self.bottoms:
            raise LayerError(
                f"YOLO's DetectionOutput, told by its biases, takes {self.bottoms} bottoms",
                field=("bottom", 2), code="E104",
            )  # fmt: skip
        super().setup()
        if not self.settings.HasField("confidence_threshold"):
            self.least = self.param.yolo_detection_output_param.confidence_threshold  # its default
