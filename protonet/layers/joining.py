"""Concat and Slice: blobs joined along an axis, or cut into parts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from protonet import kernels
from protonet.blob import Blob

from .base import AtLeast, Layer, LayerError, Shape, canonical_axis, shape_text
from .registry import register


class Parts(Layer):
    """A whole blob and its parts along an axis, lying one after another."""

    axis: int

    def _chosen_axis(self, settings: object, field: str, old: str, rank: int) -> int:
        """Reads `axis`, or the older field, which takes no negative numbers."""
        name = old if settings.HasField(old) else "axis"  # type: ignore[attr-defined]
        if name == old and settings.HasField("axis"):  # type: ignore[attr-defined]
            raise LayerError(f"give either axis or {old}, not both", field=(field, old))
        return canonical_axis(getattr(settings, name), rank, (field, name))

    def join(self, parts: Sequence[np.ndarray], whole: np.ndarray) -> None:
        """Copies the parts into the whole."""
        rows, across = self._sizes(whole)
        for part, there in self._places(parts, whole):
            columns = part.size // max(1, rows)
            kernels.copy_rows(
                x=part, y=there, rows=rows, columns=columns, x_row=columns, y_row=across
            )

    def cut(
        self, whole: np.ndarray, parts: Sequence[np.ndarray], wanted: Sequence[bool] = ()
    ) -> None:
        """Copies out of the whole the parts that are wanted, or all of them."""
        rows, across = self._sizes(whole)
        for index, (part, there) in enumerate(self._places(parts, whole)):
            columns = part.size // max(1, rows)
            if not wanted or wanted[index]:
                kernels.copy_rows(
                    x=there, y=part, rows=rows, columns=columns, x_row=across, y_row=columns
                )

    def _sizes(self, whole: np.ndarray) -> tuple[int, int]:
        return math.prod(whole.shape[: self.axis]), math.prod(whole.shape[self.axis :])

    def _places(
        self, parts: Sequence[np.ndarray], whole: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields each part, and the whole from where that part begins."""
        start = 0
        for part in parts:
            yield part, whole.reshape(-1)[start:]
            start += math.prod(part.shape[self.axis :])


@register("Concat")
class Concat(Parts):
    """The bottoms one after another along an axis.

    Shapes:     equal but for the axis, where the sizes are added.
    Parameters: axis (1), or the older concat_dim.
    Formula:    y = x₁, x₂, … laid side by side.
    Gradient:   each bottom's part of dy.
    Source:     Caffe 1.0.
    """

    bottoms = AtLeast(1)

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        first = bottom[0]
        axis = self._chosen_axis(self.param.concat_param, "concat_param", "concat_dim", len(first))
        for number, shape in enumerate(bottom):
            if (*shape[:axis], *shape[axis + 1 :]) != (*first[:axis], *first[axis + 1 :]) or len(
                shape
            ) != len(first):
                raise LayerError(
                    f"bottom {number} is {shape_text(shape)}, which differs from bottom 0, "
                    f"{shape_text(first)}, elsewhere than on axis {axis}",
                    bottom=number,
                    code="E203",
                )
        return [(*first[:axis], sum(shape[axis] for shape in bottom), *first[axis + 1 :])]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.axis = self._chosen_axis(
            self.param.concat_param, "concat_param", "concat_dim", len(bottom[0].shape)
        )

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.join([blob.data for blob in bottom], top[0].data)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        self.cut(top[0].diff, [blob.diff for blob in bottom], self.propagate_down)


@register("Slice")
class Slice(Parts):
    """The bottom cut into parts along an axis.

    Shapes:     the axis is cut before each slice_point; without them into equal parts.
    Parameters: axis (1), or the older slice_dim; slice_point, ascending, one fewer than tops.
    Formula:    y₁, y₂, … = x, cut.
    Gradient:   the tops' dy, one after another.
    Source:     Caffe 1.0.
    """

    tops = AtLeast(1)

    def setup(self) -> None:
        points = list(self.param.slice_param.slice_point)
        if points and len(points) != self.top_count - 1:
            raise LayerError(
                f"{len(points)} slice_point for {self.top_count} tops",
                field=("slice_param", "slice_point", 0),
                help=f"{self.top_count} parts need {self.top_count - 1} points, or none if equal",
            )
        for index, (before, point) in enumerate(itertools.pairwise([0, *points])):
            if point <= before:
                raise LayerError(
                    f"slice_point {point} is not above {before}",
                    field=("slice_param", "slice_point", index),
                )

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        shape, settings = bottom[0], self.param.slice_param
        axis = self._chosen_axis(settings, "slice_param", "slice_dim", len(shape))
        size, points = shape[axis], list(settings.slice_point)
        if not points and size % self.top_count:
            raise LayerError(
                f"axis {axis} of size {size} cannot be cut into {self.top_count} equal parts",
                field=("slice_param",),
                code="E203",
                help="name where each part after the first begins: slice_point",
            )
        if not points:
            points = [size // self.top_count * part for part in range(1, self.top_count)]
        if points and points[-1] >= size and size:
            raise LayerError(
                f"slice_point {points[-1]} is beyond axis {axis} of size {size}",
                field=("slice_param", "slice_point", len(points) - 1),
                code="E203",
            )
        return [
            (*shape[:axis], end - start, *shape[axis + 1 :])
            for start, end in itertools.pairwise([0, *points, size])
        ]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.axis = self._chosen_axis(
            self.param.slice_param, "slice_param", "slice_dim", len(bottom[0].shape)
        )

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.cut(bottom[0].data, [blob.data for blob in top])

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            self.join([blob.diff for blob in top], bottom[0].diff)
