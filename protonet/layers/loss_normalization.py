"""What losses share: the divisor that `loss_param` asks for, and judging labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from protonet.blob import Blob
from protonet.ir.protonet_pb2 import LossParameter

from .base import LayerError, Shape, shape_text

if TYPE_CHECKING:
    from protonet.ir.protonet_pb2 import LayerParameter

__all__ = ["Normalization", "judge_labels", "judge_same_batch"]


@dataclass(frozen=True)
class Normalization:
    """What a sum over positions is divided by, and the label whose positions add nothing.

    FULL: all positions; VALID: those not ignored; BATCH_SIZE: the product of the axes before
    the classes' axis; NONE: 1. Never less than 1. (Caffe 1.0)
    """

    mode: int
    ignore_label: int | None

    @classmethod
    def read(cls, param: LayerParameter, default: int = LossParameter.VALID) -> Normalization:
        """Reads loss_param; the older `normalize` (true: VALID, false: BATCH_SIZE) counts where
        `normalization` is not given."""
        settings = param.loss_param
        mode = default
        if settings.HasField("normalization"):
            mode = settings.normalization
            if mode == LossParameter.PRE_FIXED:
                raise LayerError(
                    "normalization PRE_FIXED belongs to a fork of Caffe and is not supported",
                    field=("loss_param", "normalization"),
                    help="FULL, VALID, BATCH_SIZE or NONE",
                )
        elif settings.HasField("normalize"):
            mode = LossParameter.VALID if settings.normalize else LossParameter.BATCH_SIZE
        return cls(mode, settings.ignore_label if settings.HasField("ignore_label") else None)

    @property
    def fields(self) -> dict[str, int]:
        """These settings as the fields of the losses' kernels."""
        return {
            "has_ignore": self.ignore_label is not None,
            "ignore": self.ignore_label or 0,
            "normalization": self.mode,
        }


def judge_labels(bad: np.ndarray, labels: Blob, classes: int, bottom: int = 1) -> None:
    """Raises LayerError if `bad`, which a kernel has set, is the index of a label of no class."""
    if bad[0] < 0:
        return
    label = labels.data.reshape(-1)[bad[0]]
    raise LayerError(
        f"label {label:g} (element {bad[0]}) is no class: there are classes 0 to {classes - 1}",
        bottom=bottom,
        code="E208",
        help="labels count from 0; give the layer before this one as many outputs as there are "
        "classes, or name the label in loss_param { ignore_label }",
    )


def judge_same_batch(first: Shape, second: Shape) -> None:
    """Raises LayerError unless both bottoms of a loss have one number of items (axis 0)."""
    if first[:1] != second[:1] or not first:
        raise LayerError(
            f"bottom 0 is {shape_text(first)} and bottom 1 is {shape_text(second)}: "
            "they must have the same first dimension",
            bottom=1,
            code="E203",
        )
