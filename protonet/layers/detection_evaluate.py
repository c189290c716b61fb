"""DetectionEvaluate: which detections are right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.protonet_pb2 import OldResizeParameter

from .base import Exactly, Layer, LayerError, Shape, shape_text
from .registry import register
from .text_lines import read_lines

_FIELD = "detection_evaluate_param"


@register("DetectionEvaluate")
class DetectionEvaluate(Layer):
    """Which detections are right: the numbers that average precision is made of.

    Shapes:     detections 1×1×D×7 (image, class or −1, score, xmin, ymin, xmax, ymax), true boxes
                1×1×R×8 (image, or −1; class, instance, xmin, ymin, xmax, ymax, difficult) →
                1×1×(C + D′)×5: for each of the C classes but the background −1, class, number of
                true boxes, −1, −1; then for each of the D′ detections of a class image, class,
                score, right, wrong, in the order of image, class, falling score.
    Parameters: num_classes, background_label_id (0), overlap_threshold (.5), evaluate_difficult_gt
                (true), name_size_file: `name height width` of each image, in the order in which
                they come; boxes are then compared in its pixels.
    Rules:      a detection belongs to the true box of its class that it overlaps most; it is right
                if by the threshold or more and no better one is there, else wrong. With
                evaluate_difficult_gt: false those of difficult boxes are neither.
    Gradient:   none.
    Source:     Liu et al. 2016 (SSD); Everingham et al. 2010 (PASCAL VOC).
    """

    bottoms = Exactly(2)
    namesake = "this is SSD's; Cascade R-CNN's layer of this name is not supported"
    labels = (0, 1)
    dynamic = True

    def setup(self) -> None:
        self.settings = self.param.detection_evaluate_param
        background = self.settings.background_label_id
        if self.settings.num_classes < 1:
            raise LayerError("num_classes must be at least 1", field=(_FIELD,))
        if not self.settings.overlap_threshold > 0:
            raise LayerError(
                "overlap_threshold must be positive", field=(_FIELD, "overlap_threshold")
            )
        resize = self.settings.resize_param
        if resize.resize_mode != OldResizeParameter.WARP:
            raise LayerError(
                "boxes can be taken back to the image's size only after WARP",
                field=(_FIELD, "resize_param", "resize_mode"),
            )
        self.class_count = self.settings.num_classes
        self.class_count -= 0 <= background < self.settings.num_classes
        self.sizes: np.ndarray | None = None
        self.position = 0  # in the file of sizes

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        for number, size in ((0, 7), (1, 8)):
            shape = bottom[number]
            if len(shape) != 4 or shape[:2] != (1, 1) or shape[3] != size:
                raise LayerError(
                    f"1×1×{'DR'[number]}×{size} is needed, not {shape_text(shape)}", bottom=number
                )
        return [(1, 1, self.class_count + bottom[0][2], 5)]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        every = np.arange(self.settings.num_classes)
        self.classes = every[every != self.settings.background_label_id]

    def _image_sizes(self, images: np.ndarray) -> np.ndarray | None:
        """Returns height and width of each of these images, or None if there is no file."""
        path = self.settings.name_size_file
        if not path:
            return None
        if self.sizes is None:
            lines = read_lines(path, _FIELD, "name_size_file")
            try:
                sizes = [
                    (float(height), float(width)) for _, height, width in map(str.split, lines)
                ]
            except ValueError:
                sizes = []
            if not sizes:
                raise LayerError(
                    f"{path} is no file of sizes: a line is name, height and width",
                    field=(_FIELD, "name_size_file"),
                    code="E451",
                )
            self.sizes = np.array(sizes)
        turns = (self.position + np.arange(len(images))) % len(self.sizes)
        self.position = (self.position + len(images)) % len(self.sizes)
        return self.sizes[turns]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        found = bottom[0].data.reshape(-1, 7)
        found = found[found[:, 0] != -1]
        images = np.unique(found[:, 0])
        found = found[found[:, 1] != -1]
        found = found[np.lexsort((-found[:, 2], found[:, 1], found[:, 0]))]
        truth = bottom[1].data.reshape(-1, 8)
        truth = truth[truth[:, 0] != -1]
        self._judge_rows(found, 0)
        self._judge_rows(truth, 1)
        sizes = self._image_sizes(images)
        if sizes is not None:
            truth = truth[np.isin(truth[:, 0], images)]
            for rows in (found, truth):
                scale = sizes[np.searchsorted(images, rows[:, 0])][:, [1, 0, 1, 0]]
                rows[:, 3:7] = np.clip(rows[:, 3:7], 0, 1) * scale
        self._write(found, truth, top[0], extra=sizes is not None)

    def _judge_rows(self, rows: np.ndarray, bottom: int) -> None:
        if np.isnan(rows).any():
            raise LayerError("a box holds what is not a number", bottom=bottom, code="E208")
        wrong = rows[~np.isin(rows[:, 1], self.classes)]
        if len(wrong):
            raise LayerError(
                f"a box is of class {wrong[0, 1]:g}, which is the background or none",
                bottom=bottom,
                code="E208",
            )

    def _write(self, found: np.ndarray, truth: np.ndarray, top: Blob, extra: bool) -> None:
        counted = truth if self.settings.evaluate_difficult_gt else truth[truth[:, 7] == 0]
        counts = (counted[:, 1] == self.classes[:, None]).sum(1)
        top.reshape(1, 1, len(self.classes) + len(found), 5)
        head, rows = np.split(top.data[0, 0], [len(self.classes)])
        head[:] = -1
        head[:, 1], head[:, 2] = self.classes, counts
        arguments: dict[str, Any] = {
            "found": found, "truth": truth, "taken": np.zeros(len(truth), np.uint8), "rows": rows,
            "detections": len(found), "truths": len(truth), "extra": extra,
            "use_difficult": self.settings.evaluate_difficult_gt,
            "overlap": self.settings.overlap_threshold,
        }  # fmt: skip
        kernels.evaluate_detections(**arguments)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        """Right or wrong has no gradient."""

    def state(self) -> dict[str, int | bytes]:
        return {"position": self.position}

    def restore(self, state: Mapping[str, int | bytes]) -> None:
        position = state.get("position")
        if not isinstance(position, int) or position < 0:
            raise LayerError("the saved state is not that of DetectionEvaluate", code="E451")
        self.position = position
