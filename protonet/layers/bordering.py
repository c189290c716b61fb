"""Pixels around and about: Pad, Reverse; and Unsqueeze, an axis of length 1."""

from __future__ import annotations

import math

import numpy as np

from protonet.blob import Blob
from protonet.ir.protonet_pb2 import PadParameter

from .base import LayerError, Shape, canonical_axis, shape_text
from .picking import PickedPixels
from .registry import register
from .sharing import SameMemory


@register("Pad")
class Pad(PickedPixels):
    """Rows and columns added around the plane; where a pad is negative, cut off.

    Shapes:     …×H×W → …×(H + pad_u + pad_d)×(W + pad_l + pad_r).
    Parameters: pad_param pad_u, pad_d, pad_l, pad_r; pad_type CONSTANT (pad_value), REPLICATE (the
                border's pixels again) or REFLECT (those inside, without the border itself).
    Formula:    y[i, j] = x[i − pad_u, j − pad_l] where that is inside, else as pad_type says.
    Gradient:   each pixel's: the sum of the dy where it stands.
    Source:     the fork of brocolli.
    """

    def setup(self) -> None:
        self.settings = self.param.pad_param
        self.fill = self.settings.pad_value
        self.pads = (
            (self.settings.pad_u, self.settings.pad_d),
            (self.settings.pad_l, self.settings.pad_r),
        )

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if len(bottom[0]) < 2:
            raise LayerError("the bottom needs two axes", bottom=0)
        size = bottom[0][-2:]
        out = tuple(h + sum(pads) for h, pads in zip(size, self.pads, strict=True))
        if min(out) < 1:
            raise LayerError(
                f"nothing would be left of {shape_text(size)}", field=("pad_param",), code="E204"
            )
        if self.settings.pad_type == PadParameter.REFLECT:
            for h, pads in zip(size, self.pads, strict=True):
                if max(pads) >= h:
                    raise LayerError(
                        f"REFLECT can add at most {h - 1} to an axis of {h}, not {max(pads)}",
                        field=("pad_param", "pad_type"),
                        code="E204",
                    )
        return [(*bottom[0][:-2], *out)]

    def indices(self, size: Shape, out: Shape) -> tuple[np.ndarray, np.ndarray]:
        row, column = (
            self._index(h, np.arange(h_out) - before)
            for h, h_out, (before, _) in zip(size, out, self.pads, strict=True)
        )
        return row, column

    def _index(self, size: int, at: np.ndarray) -> np.ndarray:
        if self.settings.pad_type == PadParameter.REPLICATE:
            at = at.clip(0, size - 1)
        elif self.settings.pad_type == PadParameter.REFLECT:
            at = size - 1 - abs(size - 1 - abs(at))
        else:
            at = np.where((at >= 0) & (at < size), at, -1)
        return at.astype(np.int32)


@register("Reverse")
class Reverse(PickedPixels):
    """One axis from its end to its start.

    Shapes:     any → the same.
    Parameters: reverse_param axis (0).
    Formula:    y[i] = x[n − 1 − i] along the axis, n its length.
    Gradient:   dy, likewise reversed.
    Source:     CTPN's and CRNN's forks: a recurrent layer that runs backward in time.
    """

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if not bottom[0]:
            raise LayerError("a scalar has no axis to reverse", bottom=0)
        self.axis = canonical_axis(
            self.param.reverse_param.axis, len(bottom[0]), ("reverse_param", "axis")
        )
        return [bottom[0]]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape = bottom[0].shape
        size, inner = shape[self.axis], math.prod(shape[self.axis + 1 :])
        row = np.arange(size, dtype=np.int32)[::-1].copy()
        column, plane = np.arange(inner, dtype=np.int32), (size, inner)
        if inner == 1:  # one row is cheaper than rows of one
            row, column, plane = np.zeros(1, np.int32), row, (1, size)
        self.pixels = {
            "row": row, "column": column, "planes": math.prod(shape[: self.axis]),
            "height": plane[0], "width": plane[1], "out_height": plane[0], "out_width": plane[1],
            "fill": 0.0,
        }  # fmt: skip


@register("Unsqueeze")
class Unsqueeze(SameMemory):
    """One more axis, of length 1, before axis `dim`.

    Shapes:     a×b → a×1×b with dim 1; −1 puts it last.
    Parameters: unsqueeze_param dim.
    Formula:    y = x, read in the same order.
    Gradient:   dx = dy, in the same memory.
    Source:     the fork of brocolli.
    """

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        axis = canonical_axis(
            self.param.unsqueeze_param.dim, len(bottom[0]), ("unsqueeze_param", "dim"), extra=1
        )
        return [(*bottom[0][:axis], 1, *bottom[0][axis:])]
