"""Accuracy: how often the label is among the best scores."""

from __future__ import annotations

import numpy as np

from protonet import kernels
from protonet.blob import Blob

from .base import Between, Exactly, Layer, LayerError, Shape, canonical_axis
from .loss_normalization import judge_labels
from .registry import register
from .softmax import judge_label_count, sheaf


@register("Accuracy")
class Accuracy(Layer):
    """The share of positions whose label is among the top_k greatest scores.

    Shapes:     scores N×C×… and one label 0 … C−1 for each position → a scalar; a second top is
                the accuracy of each class, C, 0 for a class that no label names.
    Parameters: top_k (1), axis of the classes (1), ignore_label (such positions do not count).
    Formula:    (positions where fewer than top_k other scores are at least the label's) /
                positions.
    Rules:      a score equal to the label's counts against it; nothing to count gives 0; NaN is
                wrong. (Caffe 1.0 but for NaN)
    Gradient:   none.
    Source:     Caffe 1.0.
    """

    bottoms, tops = Exactly(2), Between(1, 2)
    labels = (0, 1)

    def setup(self) -> None:
        self.settings = self.param.accuracy_param
        if self.settings.top_k < 1:
            raise LayerError("top_k must be at least 1", field=("accuracy_param", "top_k"))

    def _axis(self, shape: Shape) -> int:
        return canonical_axis(self.settings.axis, len(shape), ("accuracy_param", "axis"))

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        axis = self._axis(bottom[0])
        judge_label_count(bottom[0], bottom[1], axis)
        classes = bottom[0][axis]
        if self.settings.top_k > classes:
            raise LayerError(
                f"top_k {self.settings.top_k} of {classes} classes",
                field=("accuracy_param", "top_k"),
                help=f"top_k must be at most {classes}",
            )
        return [(), (classes,)][: self.top_count]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.size = sheaf(bottom[0].shape, self._axis(bottom[0].shape))
        self.bad = np.full(1, -1, np.int64)
        self.counts = np.empty(self.size["classes"], bottom[0].dtype)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.accuracy(
            x=bottom[0].data, label=bottom[1].data, accuracy=top[0].data,
            per_class=top[1].data if self.top_count == 2 else None,
            per_class_counts=self.counts, bad=self.bad, top_k=self.settings.top_k,
            has_ignore=self.settings.HasField("ignore_label"),
            ignore=self.settings.ignore_label, **self.size,
        )  # fmt: skip

    def judge(self, bottom: list[Blob]) -> None:
        judge_labels(self.bad, bottom[1], self.size["classes"])

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        """Nothing is propagated."""
