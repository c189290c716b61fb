"""RegionLoss: what YOLO v2 is trained with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from protonet import kernels
from protonet.blob import Blob

from .base import Exactly, Layer, LayerError, Shape, shape_text
from .registry import register
from .text_lines import read_lines
from .yolo_grid import class_tree, grid_arguments, judge_anchors, judge_grid

_FIELD = "region_loss_param"


@register("RegionLoss")
class RegionLoss(Layer):
    """The loss of boxes, objectness and classes over YOLO v2's grid of anchors.

    Shapes:     N×A(5 + C)×H×W (for each anchor x, y, w, h, objectness o, classes), true boxes
                1×1×R×8 (image, or −1; class, counted from 1, or from 0 with a tree; instance, xmin,
                ymin, xmax, ymax, difficult) or N×5T (class from 0, centre, size; size 0: none)
                → scalar. All relative to the image.
    Parameters: num_class (C), num (A), biases (width and height of each anchor, in cells), thresh,
                object_scale, noobject_scale, class_scale, coord_scale, bias_match, rescore;
                softmax_tree: a file of `name parent` for each class; class_map: a file of the class
                of each label.
    Formula:    a predictor's box: centre (i + σ(x), j + σ(y)) / (W, H), size (ae^w, be^h) / (W, H).
                A true box belongs to the anchor of its cell whose shape overlaps its own most
                (bias_match: 0: whose prediction does) and adds ½·coord_scale·Σ(v − v*)² over
                σ(x), σ(y), w, h; ½·object_scale·(σ(o) − overlap)²; and class_scale·−log softmax in
                the class's group and those of its ancestors. rescore: 0 has 1 for the overlap, and
                coord_scale·(2 − the box's area). A predictor without a true box adds
                ½·noobject_scale·σ(o)², unless it overlaps a true box by more than thresh. Over N.
    Gradient:   that of the formula, the overlap taken as constant.
    Rules:      forks report Σ of the squared derivatives as the loss; this one reports what is
                descended.
    Source:     Redmon and Farhadi 2017 (YOLO v2, YOLO9000).
    """

    bottoms = Exactly(2)
    labels = (1,)
    is_loss = True
    automatic_tops = 1

    def setup(self) -> None:
        self.settings = self.param.region_loss_param
        self.classes = self.settings.num_class
        if self.classes < 1:
            raise LayerError("num_class must be at least 1", field=(_FIELD, "num_class"))
        judge_anchors(self.settings.biases, self.settings.num, self.settings.coords, _FIELD)
        self.tree: dict[str, np.ndarray] | None = None

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        judge_grid(bottom[0], self.settings.num, self.classes, 0)
        if not self._has_rows(bottom[1]) and (
            not bottom[1] or bottom[1][0] != bottom[0][0] or math.prod(bottom[1][1:]) % 5
        ):
            raise LayerError(
                f"true boxes are 1×1×R×8 or {bottom[0][0]}×5T, not {shape_text(bottom[1])}",
                bottom=1,
            )
        self._read_classes()
        return [()]

    @staticmethod
    def _has_rows(truth: Shape) -> bool:
        return len(truth) == 4 and truth[3] == 8

    def _read_classes(self) -> None:
        """Reads tree and map, if they are not read yet. SourceMissing if they are not there."""
        if self.tree is not None:
            return
        tree = class_tree(self.settings.softmax_tree, self.classes, _FIELD, "softmax_tree")
        self.label_map: np.ndarray | None = None
        if self.settings.class_map:
            lines = read_lines(self.settings.class_map, _FIELD, "class_map")
            try:
                self.label_map = np.array([int(line.split()[0]) for line in lines], np.int64)
            except ValueError:
                self.label_map = np.full(1, -1)
            if not ((self.label_map >= 0) & (self.label_map < self.classes)).all():
                raise LayerError(
                    f"{self.settings.class_map} is no map: a line is one of the {self.classes} "
                    "classes",
                    field=(_FIELD, "class_map"),
                    code="E451",
                )
        self.tree = tree

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        settings, rows = self.settings, self._has_rows(bottom[1].shape)
        grid = grid_arguments(bottom[0], settings.biases, self.classes)
        predictors = grid["anchors"] * grid["height"] * grid["width"]
        self.delta = np.zeros(bottom[0].shape, bottom[0].dtype)
        self.bad = np.full(1, -1, np.int64)
        labels = self.classes if self.label_map is None else len(self.label_map)
        self.arguments: dict[str, Any] = {
            "grid": grid, "truth": bottom[1].data, "delta": self.delta, "bad": self.bad,
            "owner": np.zeros((grid["images"], predictors), np.int64), "loss": top[0].data,
            "label_map": self.label_map, **(self.tree or {}), "rows": rows,
            "truths": bottom[1].shape[2] if rows else math.prod(bottom[1].shape[1:]) // 5,
            "first_class": rows and not settings.softmax_tree, "labels": labels,
            "match_anchors": settings.bias_match != 0, "rescore": settings.rescore != 0,
            "threshold": settings.thresh, "object_scale": settings.object_scale,
            "no_object_scale": settings.noobject_scale, "class_scale": settings.class_scale,
            "coord_scale": settings.coord_scale,
        }  # fmt: skip

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.region_loss(**self.arguments)

    def judge(self, bottom: list[Blob]) -> None:
        if self.bad[0] >= 0:
            width = 8 if self.arguments["rows"] else 5
            row = bottom[1].data.reshape(-1)[self.bad[0] * width :][:width]
            label = row[1 if width == 8 else 0]
            if np.isnan(row).any() and not np.isnan(label):
                raise LayerError(
                    f"true box {self.bad[0]} holds what is not a number", bottom=1, code="E208"
                )
            raise LayerError(
                f"true box {self.bad[0]} is of class {label:g}, which is "
                f"none of {self.arguments['labels']}",
                bottom=1,
                code="E208",
            )

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.scale_by(
                x=self.delta, factor=top[0].diff, y=bottom[0].diff, n=bottom[0].count,
                scale=1 / max(1, bottom[0].shape[0]),
            )  # fmt: skip
