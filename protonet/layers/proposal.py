"""Proposal: regions that may hold an object, from a region-proposal network's predictions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from protonet import kernels
from protonet.blob import Blob

from .base import Between, Exactly, Layer, LayerError, Shape, shape_text
from .boxes import Suppression
from .registry import register

_FIELD = "proposal_param"


def anchor_boxes(base_size: int, ratios: list[float], scales: list[float]) -> np.ndarray:
    """Returns the anchors around the first position, A×4: for each ratio (height to width) those of
    all scales, of the area of a square of base_size, its sides rounded before they are scaled."""
    width = np.round(np.sqrt(base_size**2 / np.array(ratios)))
    sides = np.stack([width, np.round(width * ratios)], -1)
    half = (sides[:, None] * np.array(scales)[:, None] - 1).reshape(-1, 2) / 2
    centre = (base_size - 1) / 2
    return np.concatenate([centre - half, centre + half], -1)


@register("Proposal")
class Proposal(Layer):
    """The best regions of a region-proposal network after non-maximum suppression.

    Shapes:     scores N×2A×H×W (the first A: no object), offsets N×4A×H×W, image information N×3
                (height, width, scale) or N×4 or more (height, width, scales of both) → regions
                R×5 (image, xmin, ymin, xmax, ymax in pixels, both inside), scores R. R is known
                when it runs, at most N·post_nms_topn, which it is taken for before.
    Parameters: feat_stride (16), base_size (16), ratio (.5, 1, 2), scale (8, 16, 32): A = ratios ·
                scales; min_size (16), pre_nms_topn (6000), post_nms_topn (300), nms_thresh (.7);
                a topn of 0 is no limit.
    Formula:    anchors of size w×h around each position, feat_stride apart; offsets t: centre +
                t·(w, h), size e^t·(w, h); limited to the image; without those of a side under
                min_size·scale; of the others the pre_nms_topn best; suppression; of what is left
                the post_nms_topn best.
    Gradient:   0.
    Source:     Ren et al. 2015 (Faster R-CNN).
    """

    bottoms, tops = Exactly(3), Between(1, 2)
    dynamic = True

    def setup(self) -> None:
        self.settings = self.param.proposal_param
        for name in ("feat_stride", "base_size"):
            if getattr(self.settings, name) < 1:
                raise LayerError(f"{name} must be at least 1", field=(_FIELD, name))
        ratios = list(self.settings.ratio) or [0.5, 1.0, 2.0]
        scales = list(self.settings.scale) or [8.0, 16.0, 32.0]
        for name, values in (("ratio", ratios), ("scale", scales)):
            for index, value in enumerate(values):
                if not 0 < value < math.inf:
                    raise LayerError(
                        f"{name} must be positive and finite", field=(_FIELD, name, index)
                    )
        self.anchors = anchor_boxes(self.settings.base_size, ratios, scales)
        self.rule = Suppression(
            self.settings.nms_thresh, extra=1,
            top_k=self.settings.pre_nms_topn or -1, keep=self.settings.post_nms_topn or -1,
        )  # fmt: skip

    def allow_force_backward(self, bottom: int) -> bool:
        return False

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        anchors = len(self.anchors)
        for number, size in enumerate((2 * anchors, 4 * anchors)):
            shape = bottom[number]
            if len(shape) != 4 or shape[1] != size:
                raise LayerError(
                    f"{shape_text(shape)} does not fit {anchors} anchors: N×{size}×H×W is needed",
                    bottom=number,
                    help="there is an anchor for each ratio and scale",
                )
        images, _, height, width = bottom[0]
        if bottom[1][0] != images or bottom[1][2:] != bottom[0][2:]:
            raise LayerError(
                f"offsets {shape_text(bottom[1])} for scores {shape_text(bottom[0])}", bottom=1
            )
        if len(bottom[2]) < 2 or bottom[2][0] != images or bottom[2][1] < 3:
            raise LayerError(
                f"image information is {images}×3 (height, width, scale), not "
                f"{shape_text(bottom[2])}",
                bottom=2,
            )
        most = self.settings.post_nms_topn or height * width * anchors
        return [(images * most, 5), (images * most,)][: self.top_count]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        images, _, height, width = bottom[0].shape
        dtype, size = bottom[0].dtype, height * width * len(self.anchors)
        most = min(size, self.settings.post_nms_topn or size)
        self.counts = np.zeros(images, np.int64)
        self.search: dict[str, Any] = {
            "class_scores": bottom[0].data, "offsets": bottom[1].data, "info": bottom[2].data,
            "anchor_boxes": self.anchors.astype(dtype), "boxes": np.empty((images, size, 4), dtype),
            "scores": np.empty((images, size), dtype), "kept": np.empty((images, most), np.int64),
            "counts": self.counts, "images": images, "anchors": len(self.anchors),
            "height": height, "width": width, "info_size": math.prod(bottom[2].shape[1:]),
            "stride": self.settings.feat_stride, "most": most,
            "min_size": self.settings.min_size, "rule": self.rule.fields,
        }  # fmt: skip

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.propose(**self.search)
        rows = int(self.counts.sum())
        for blob in top:
            blob.reshape(rows, *blob.shape[1:])
        kernels.proposal_rows(
            found=self.search, rows=top[0].data,
            row_scores=top[1].data if len(top) > 1 else None,
        )  # fmt: skip

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        for blob, wanted in zip(bottom, self.propagate_down, strict=True):
            if wanted:
                blob.diff.fill(0)
