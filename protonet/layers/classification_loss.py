"""Losses of scores or probabilities against labels: sigmoid, hinge, multinomial, infogain."""

from __future__ import annotations

import math
import os
from typing import Any, ClassVar

import numpy as np

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.binary import read_blob
from protonet.ir.protonet_pb2 import HingeLossParameter, LossParameter
from protonet.prototxt.diagnostics import Error

from .base import (
    Between,
    Exactly,
    Layer,
    LayerError,
    Shape,
    SourceMissing,
    canonical_axis,
    shape_text,
)
from .loss_normalization import Normalization, judge_labels, judge_same_batch
from .registry import register

__all__ = ["LabelLoss"]


class LabelLoss(Layer):
    """A scalar loss of bottom 0 against the labels in bottom 1, which get no gradient."""

    bottoms = Exactly(2)
    automatic_tops = 1
    is_loss = True
    labels: ClassVar[tuple[int, ...]] = (1,)

    def setup(self) -> None:
        self.bad = np.full(1, -1, np.int64)  # the first label that is no class
        self.normalizer = np.ones(1, np.float64)
        self.classes = 0
        self.arguments: dict[str, Any] = {}

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        self.judge_row_labels(bottom)
        return [()]

    def judge_row_labels(self, bottom: list[Shape]) -> None:
        """Raises LayerError unless there is one label for each row of bottom 0."""
        if not bottom[0]:
            raise LayerError("a scalar has no rows to judge by label", bottom=0)
        if math.prod(bottom[1]) != bottom[0][0] or not bottom[1]:
            raise LayerError(
                f"{shape_text(bottom[0])} needs {bottom[0][0]} labels, one a row, "
                f"but there are {math.prod(bottom[1])}",
                bottom=1,
            )
        judge_same_batch(bottom[0], bottom[1])
        if 0 in bottom[0][1:]:
            raise LayerError(f"{shape_text(bottom[0])} has no classes", bottom=0)

    def judge(self, bottom: list[Blob]) -> None:
        judge_labels(self.bad, bottom[1], self.classes)

    def rows(self, bottom: list[Blob]) -> dict[str, int]:
        """Returns rows and classes of the kernels' view of bottom 0."""
        rows = bottom[0].shape[0]
        self.classes = math.prod(bottom[0].shape[1:])
        return {"rows": rows, "classes": self.classes}


@register("SigmoidCrossEntropyLoss")
class SigmoidCrossEntropyLoss(LabelLoss):
    """loss = −Σ (t log σ(x) + (1 − t) log(1 − σ(x))) / normalizer, σ the sigmoid.

    Shapes:     x any, targets t (0 … 1, also between) as many → scalar.
    Parameters: loss_param ignore_label, normalization (BATCH_SIZE: the first axis).
    Formula:    max(x, 0) − x·t + log(1 + e^−|x|), which does not overflow
    Gradient:   dx = (σ(x) − t) / normalizer; the targets have none.
    Rules:      a target is ignored if its whole part is ignore_label. (Caffe 1.0)
    Source:     Caffe 1.0.
    """

    def setup(self) -> None:
        super().setup()
        self.normalization = Normalization.read(self.param, LossParameter.BATCH_SIZE)

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if math.prod(bottom[0]) != math.prod(bottom[1]):
            raise LayerError(
                f"{shape_text(bottom[0])} needs as many targets, not {shape_text(bottom[1])}",
                bottom=1,
            )
        judge_same_batch(bottom[0], bottom[1])
        return [()]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.arguments = {
            "x": bottom[0].data, "target": bottom[1].data, "loss": top[0].data,
            "normalizer": self.normalizer, "bad": self.bad, "n": bottom[0].count,
            "outer": bottom[0].shape[0], **self.normalization.fields,
        }  # fmt: skip

    def judge(self, bottom: list[Blob]) -> None:
        if self.bad[0] >= 0:
            raise LayerError(f"target {self.bad[0]} is not a number", bottom=1, code="E208")

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.sigmoid_loss(**self.arguments)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.sigmoid_loss_backward(shape=self.arguments, dy=top[0].diff, dx=bottom[0].diff)


@register("HingeLoss")
class HingeLoss(LabelLoss):
    """loss = Σ max(0, 1 − s·x)^p / N: s is 1 for the class that the label names, −1 for the others.

    Shapes:     scores N×…, labels N → scalar.
    Parameters: hinge_loss_param norm: L1 (p = 1) or L2 (p = 2).
    Gradient:   dx = −s·[s·x < 1] / N, or −2s·max(0, 1 − s·x) / N; the labels have none.
    Source:     Caffe 1.0.
    """

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.arguments = {
            "x": bottom[0].data, "label": bottom[1].data, "loss": top[0].data, "bad": self.bad,
            "squared": self.param.hinge_loss_param.norm == HingeLossParameter.L2,
            **self.rows(bottom),
        }  # fmt: skip

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.hinge_loss(**self.arguments)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.hinge_loss_backward(shape=self.arguments, dy=top[0].diff, dx=bottom[0].diff)


@register("MultinomialLogisticLoss")
class MultinomialLogisticLoss(LabelLoss):
    """loss = −Σ log max(p[label], 1e-20) / N, for probabilities p; SoftmaxWithLoss takes scores.

    Shapes:   probabilities N×…, labels N → scalar.
    Gradient: dp[label] = −1 / (N max(p[label], 1e-20)), 0 elsewhere; the labels have none.
    Source:   Caffe 1.0.
    """

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.arguments = {
            "probability": bottom[0].data, "label": bottom[1].data, "loss": top[0].data,
            "bad": self.bad, **self.rows(bottom),
        }  # fmt: skip

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.log_loss(**self.arguments)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.log_loss_backward(shape=self.arguments, dy=top[0].diff, dx=bottom[0].diff)


@register("InfogainLoss")
class InfogainLoss(LabelLoss):
    """loss = −Σ H[label, k] log max(p[k], 1e-20) / normalizer, with p the softmax of the scores.

    Shapes:     scores N×K×…, one label for each position, H K×K → scalar, and p if a second top
                is named.
    Parameters: infogain_loss_param source (a .binaryproto with H, unless H is the third
                bottom), axis (of the classes, 1); loss_param ignore_label, normalization (VALID).
    Gradient:   dx[k] = (p[k] Σⱼ H[label, j] − H[label, k]) / normalizer; labels and H have none.
    Source:     Caffe 1.0.
    """

    bottoms, tops = Between(2, 3), Between(1, 2)
    labels: ClassVar[tuple[int, ...]] = (1, 2)

    def setup(self) -> None:
        super().setup()
        self.settings = self.param.infogain_loss_param
        if self.param.loss_param.HasField("normalize"):
            raise LayerError(
                "normalize is not possible here",
                field=("loss_param", "normalize"),
                help="write `normalization: VALID` for true, `normalization: BATCH_SIZE` for false",
            )
        if self.bottom_count == 2 and not self.settings.source:
            raise LayerError(
                "the matrix H is missing",
                field=("infogain_loss_param",),
                help="name a .binaryproto in infogain_loss_param { source }, or a third bottom",
            )
        self.normalization = Normalization.read(self.param)
        self._stored: np.ndarray | None = None

    def _axis(self, shape: Shape) -> int:
        return canonical_axis(self.settings.axis, len(shape), ("infogain_loss_param", "axis"))

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        axis = self._axis(bottom[0])
        classes = bottom[0][axis]
        if classes == 0:
            raise LayerError(f"{shape_text(bottom[0])} has no classes along axis {axis}", bottom=0)
        positions = math.prod(bottom[0][:axis]) * math.prod(bottom[0][axis + 1 :])
        if math.prod(bottom[1]) != positions:
            raise LayerError(
                f"{shape_text(bottom[0])} with classes along axis {axis} needs {positions} labels, "
                f"not {math.prod(bottom[1])}",
                bottom=1,
            )
        judge_same_batch(bottom[0], bottom[1])
        if len(bottom) == 3:
            self._judge_matrix(bottom[2], classes, {"bottom": 2})
        else:
            self._judge_matrix(
                self._matrix().shape, classes, {"field": ("infogain_loss_param", "source")}
            )
        return [(), bottom[0]][: self.top_count]

    def _judge_matrix(self, shape: Shape, classes: int, place: dict[str, Any]) -> None:
        if math.prod(shape) != classes * classes:
            raise LayerError(
                f"H must be {classes}×{classes} for {classes} classes, not {shape_text(shape)}",
                **place,
            )

    def _matrix(self) -> np.ndarray:
        """Returns H as its file has it, read once."""
        if self._stored is None:
            field = ("infogain_loss_param", "source")
            try:
                self._stored = np.array(read_blob(self.settings.source))
            except Error as error:
                first = error.diagnostics[0]
                there = os.path.exists(self.settings.source)
                kind = LayerError if there else SourceMissing
                raise kind(
                    f"{self.settings.source}: {first.message}",
                    field=field, code=first.code, help=first.help,
                ) from None  # fmt: skip
        return self._stored

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape, axis = bottom[0].shape, self._axis(bottom[0].shape)
        dtype = bottom[0].dtype
        self.classes = shape[axis]
        probability = top[1].data if len(top) == 2 else np.zeros(shape, dtype)
        gain = bottom[2].data if len(bottom) == 3 else self._matrix().astype(dtype, order="C")
        self.arguments = {
            "x": bottom[0].data, "label": bottom[1].data, "gain": gain,
            "gain_sums": np.zeros(self.classes, dtype), "probability": probability,
            "loss": top[0].data, "normalizer": self.normalizer, "bad": self.bad,
            "outer": math.prod(shape[:axis]), "classes": self.classes,
            "inner": math.prod(shape[axis + 1 :]), **self.normalization.fields,
        }  # fmt: skip

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.infogain_loss(**self.arguments)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.infogain_loss_backward(shape=self.arguments, dy=top[0].diff, dx=bottom[0].diff)
