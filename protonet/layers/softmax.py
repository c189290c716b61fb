"""Softmax, and its multinomial logistic loss."""

from __future__ import annotations

import math

import numpy as np

from protonet import kernels
from protonet.blob import Blob

from .base import Between, Exactly, Layer, LayerError, Shape, canonical_axis, shape_text
from .loss_normalization import Normalization, judge_labels, judge_same_batch
from .registry import register


def sheaf(shape: Shape, axis: int) -> dict[str, int]:
    """Returns the sizes outer × classes × inner of a blob whose classes lie along `axis`."""
    return {
        "outer": math.prod(shape[:axis]),
        "classes": shape[axis],
        "inner": math.prod(shape[axis + 1 :]),
    }


def judge_label_count(scores: Shape, labels: Shape, axis: int) -> None:
    """Raises LayerError unless there is one label for each position beside the classes' axis."""
    if scores[axis] == 0:
        raise LayerError(f"{shape_text(scores)} has no classes along axis {axis}", bottom=0)
    wanted = (*scores[:axis], *scores[axis + 1 :])
    if math.prod(labels) != math.prod(wanted):
        raise LayerError(
            f"{math.prod(labels)} labels ({shape_text(labels)}) for {math.prod(wanted)} "
            f"predictions of {scores[axis]} classes ({shape_text(scores)})",
            bottom=1,
            code="E203",
            help=f"the labels must be {shape_text(wanted)}: one whole number from 0 to "
            f"{scores[axis] - 1} for each prediction along axis {axis}",
        )


@register("Softmax")
class Softmax(Layer):
    """y = eˣ / Σ eˣ along an axis.

    Shapes:     any → the same.
    Parameters: axis (1).
    Gradient:   dx = y · (dy − Σ dy · y).
    Source:     Bridle 1990; Caffe 1.0.
    """

    in_place = True

    def _axis(self, shape: Shape) -> int:
        return canonical_axis(self.param.softmax_param.axis, len(shape), ("softmax_param", "axis"))

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        self._axis(bottom[0])
        return [bottom[0]]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.size = sheaf(bottom[0].shape, self._axis(bottom[0].shape))

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.softmax(x=bottom[0].data, y=top[0].data, **self.size)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.softmax_backward(y=top[0].data, dy=top[0].diff, dx=bottom[0].diff, **self.size)


@register("SoftmaxWithLoss")
class SoftmaxWithLoss(Layer):
    """loss = −log of the probability that softmax gives to the label, summed and normalised.

    Shapes:     x N×C×… and one label 0 … C−1 for each position → a scalar; a second top, if
                there is one, is the probabilities, of x's shape.
    Parameters: softmax_param: axis (1); loss_param: ignore_label, normalization (VALID), or the
                older normalize (true: VALID, false: BATCH_SIZE); SegNet's weight_by_label_freqs
                with class_weighting w.
    Formula:    loss = −Σ w[label] · log max(p[label], 1.18e-38) / divisor. Divisor: FULL all
                positions, VALID those not ignored, BATCH_SIZE those before the axis, NONE 1;
                never less than 1. (Caffe 1.0)
    Gradient:   dx = (p − [class is the label]) · w[label] · dy / divisor, 0 where ignored; none
                to the labels, and what reaches the second top from above does not count.
    Source:     Caffe 1.0.
    """

    bottoms, tops = Exactly(2), Between(1, 2)
    is_loss = True
    automatic_tops = 1
    labels = (1,)

    def setup(self) -> None:
        self.normalization = Normalization.read(self.param)
        settings = self.param.loss_param
        self.class_weights = (
            list(settings.class_weighting) if settings.weight_by_label_freqs else []
        )
        if settings.weight_by_label_freqs and not self.class_weights:
            raise LayerError(
                "weight_by_label_freqs needs a class_weighting for each class",
                field=("loss_param", "weight_by_label_freqs"),
            )

    def _axis(self, shape: Shape) -> int:
        return canonical_axis(self.param.softmax_param.axis, len(shape), ("softmax_param", "axis"))

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        axis = self._axis(bottom[0])
        judge_same_batch(bottom[0], bottom[1])
        judge_label_count(bottom[0], bottom[1], axis)
        if self.class_weights and len(self.class_weights) != bottom[0][axis]:
            raise LayerError(
                f"{len(self.class_weights)} class_weighting for {bottom[0][axis]} classes",
                field=("loss_param", "class_weighting", 0),
            )
        return [(), bottom[0]][: self.top_count]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape, dtype = bottom[0].shape, bottom[0].dtype
        self.normalizer, self.bad = np.ones(1), np.full(1, -1, np.int64)
        self.classes = shape[self._axis(shape)]
        has_top = self.top_count == 2
        self.probability = top[1].data if has_top else np.zeros(shape, dtype)
        self.shape = {
            "label": bottom[1].data,
            "class_weight": np.array(self.class_weights, dtype) if self.class_weights else None,
            "probability": self.probability,
            "normalizer": self.normalizer,
            **sheaf(shape, self._axis(shape)),
            **self.normalization.fields,
        }

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.softmax_loss(x=bottom[0].data, loss=top[0].data, bad=self.bad, **self.shape)

    def judge(self, bottom: list[Blob]) -> None:
        judge_labels(self.bad, bottom[1], self.classes)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.softmax_loss_backward(shape=self.shape, dy=top[0].diff, dx=bottom[0].diff)
