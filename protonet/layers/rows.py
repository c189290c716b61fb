"""Layers that choose rows by number: Embed, BatchReindex, Filter."""

from __future__ import annotations

import math

import numpy as np

from protonet import kernels
from protonet.blob import Blob

from .base import AtLeast, Exactly, Layer, LayerError, Parameter, Shape, shape_text
from .registry import register


class PickedRows(Layer):
    """What Embed and BatchReindex share: rows picked by number; a pass judges the numbers."""

    index_bottom = 0

    def setup(self) -> None:
        self.bad = np.full(1, -1, np.int64)  # the first number that is no row's

    def gather(self, x: np.ndarray, index: Blob, y: np.ndarray) -> None:
        """y[i] = x[index[i]] for the rows of x."""
        kernels.gather_rows(
            x=x, index=index.data, y=y, bad=self.bad,
            count=index.count, size=math.prod(x.shape[1:]), rows=len(x),
        )  # fmt: skip
        self.rows = len(x)

    def scatter(self, y: np.ndarray, index: Blob, x: np.ndarray) -> None:
        """x[index[i]] += y[i] for the rows of x."""
        kernels.scatter_rows(
            y=y, index=index.data, x=x,
            count=index.count, size=math.prod(x.shape[1:]), rows=len(x),
        )  # fmt: skip

    def judge(self, bottom: list[Blob]) -> None:
        if self.bad[0] >= 0:
            number = bottom[self.index_bottom].data.reshape(-1)[self.bad[0]]
            raise LayerError(
                f"row {number:g} (element {self.bad[0]}) does not exist: "
                f"there are rows 0 to {self.rows - 1}",
                bottom=self.index_bottom,
                code="E206",
            )


@register("Embed")
class Embed(PickedRows):
    """y = W[x] + b: each whole number in x is replaced by its row of W.

    Shapes:     any shape → the same with O appended; W is I×O, b is O.
    Parameters: input_dim (I), num_output (O), bias_term, weight_filler, bias_filler.
    Gradient:   dW[x] += dy, db = Σ dy; x has none.
    Source:     Caffe 1.0.
    """

    labels = (0,)

    def setup(self) -> None:
        super().setup()
        self.settings = self.param.embed_param
        for name in ("num_output", "input_dim"):
            if getattr(self.settings, name) < 1:
                raise LayerError(f"{name} must be at least 1", field=("embed_param", name))

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        return [(*bottom[0], self.settings.num_output)]

    def parameters(self, bottom: list[Shape]) -> list[Parameter]:
        shape = (self.settings.input_dim, self.settings.num_output)
        found = [Parameter(shape, self.settings.weight_filler, ("embed_param", "weight_filler"))]
        if self.settings.bias_term:
            field = ("embed_param", "bias_filler")
            found.append(Parameter(shape[1:], self.settings.bias_filler, field))
        return found

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.gather(self.blobs[0].data, bottom[0], top[0].data)
        if self.settings.bias_term:
            kernels.scale(
                x=top[0].data, bias=self.blobs[1].data, y=top[0].data,
                outer=bottom[0].count, channels=self.settings.num_output, inner=1,
            )  # fmt: skip

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        rows, size = bottom[0].count, self.settings.num_output
        if self.param_propagate_down[0]:
            self.scatter(top[0].diff, bottom[0], self.blobs[0].diff)
        if self.settings.bias_term and self.param_propagate_down[1]:
            kernels.sum_rows(x=top[0].diff, y=self.blobs[1].diff, rows=rows, columns=size)


@register("BatchReindex")
class BatchReindex(PickedRows):
    """y[i] = x[index[i]]: rows picked, reordered and repeated.

    Shapes:   x N×…, index M → M×….
    Gradient: dx[index[i]] += dy[i]; index has none.
    Source:   Caffe 1.0.
    """

    bottoms = Exactly(2)
    labels = (1,)
    index_bottom = 1

    def allow_force_backward(self, bottom: int) -> bool:
        """Caffe refuses to run backward where index would be asked; so nothing is forced there."""
        return bottom == 0

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if len(bottom[1]) != 1:
            raise LayerError(f"the index must have one axis, not {len(bottom[1])}", bottom=1)
        if not bottom[0]:
            raise LayerError("a scalar has no rows", bottom=0)
        return [(bottom[1][0], *bottom[0][1:])]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.gather(bottom[0].data, bottom[1], top[0].data)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.fill(y=bottom[0].diff, n=bottom[0].count, value=0)
            self.scatter(top[0].diff, bottom[1], bottom[0].diff)


@register("Filter")
class Filter(Layer):
    """Keeps the rows whose selector (the last bottom) is not 0.

    Shapes:   N×… each, selector of N elements → M×…, M the rows kept, possibly 0; before the
              first pass M is N.
    Formula:  y = x[the i where selector[i] ≠ 0].
    Gradient: kept rows get their own, dropped rows 0; the selector has none.
    Source:   Caffe 1.0.
    """

    bottoms, tops = AtLeast(2), AtLeast(1)
    dynamic = True

    def setup(self) -> None:
        if self.top_count != self.bottom_count - 1:
            raise LayerError(
                f"{self.bottom_count - 1} filtered bottoms need as many tops, not {self.top_count}",
                field=("top",),
                code="E104",
            )
        self.labels = (self.bottom_count - 1,)  # type: ignore[misc]  # the last, however many

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        selector = bottom[-1]
        if math.prod(selector[1:]) != 1 or not selector:
            raise LayerError(
                f"the selector must be one number a row, not {shape_text(selector)}",
                bottom=self.bottom_count - 1,
            )
        for number, shape in enumerate(bottom[:-1]):
            if not shape or shape[0] != selector[0]:
                raise LayerError(
                    f"{shape_text(shape)} has not the selector's {selector[0]} rows", bottom=number
                )
        return list(bottom[:-1])

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.kept = np.arange(bottom[-1].count, dtype=bottom[-1].dtype)
        self.found = np.full(1, bottom[-1].count)
        self.bad = np.full(1, -1, np.int64)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.select_rows(
            selector=bottom[-1].data, count=bottom[-1].count,
            kept=self.kept, found=self.found, bad=self.bad,
        )  # fmt: skip
        if self.bad[0] >= 0:
            raise LayerError(
                f"element {self.bad[0]} of the selector is not a number",
                bottom=self.bottom_count - 1, code="E208",
            )  # fmt: skip
        for x, y in zip(bottom, top, strict=False):
            y.reshape(self.found[0], *x.shape[1:])
            kernels.gather_rows(
                x=x.data, index=self.kept, y=y.data, bad=self.bad,
                count=y.shape[0], size=math.prod(x.shape[1:]), rows=x.shape[0],
            )  # fmt: skip

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        for x, y, wanted in zip(bottom, top, self.propagate_down, strict=False):
            if wanted:
                kernels.fill(y=x.diff, n=x.count, value=0)
                kernels.scatter_rows(
                    y=y.diff, index=self.kept, x=x.diff,
                    count=y.shape[0], size=math.prod(x.shape[1:]), rows=x.shape[0],
                )  # fmt: skip
