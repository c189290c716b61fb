"""Layers that move nothing: Split, Flatten, Reshape, Silence."""

from __future__ import annotations

import math

from protonet import kernels
from protonet.blob import Blob

from .base import AtLeast, Exactly, Layer, LayerError, Shape, canonical_axis, shape_text
from .eltwise import add_up
from .registry import register


@register("Split")
class Split(Layer):
    """One blob for several readers; nets put it in by themselves where a blob is read twice.

    Shapes:   any → as many of the same as there are tops, all in the bottom's memory.
    Formula:  yᵢ = x.
    Gradient: dx = Σ dyᵢ.
    Source:   Caffe 1.0.
    """

    tops = AtLeast(1)
    shares_memory = True

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        return [bottom[0]] * self.top_count

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        for blob in top:
            blob.share_data(bottom[0])

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        """The tops are the bottom's memory."""

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            add_up([blob.diff for blob in top], bottom[0].diff)


class SameMemory(Layer):
    """A layer whose top is the bottom's memory in another shape, values and gradient alike."""

    shares_memory = True

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].share_data(bottom[0])
        top[0].share_diff(bottom[0])

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        """The top is the bottom's memory."""

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        """The top's gradient is the bottom's memory."""


@register("Flatten")
class Flatten(SameMemory):
    """Axes `axis` to `end_axis` made one.

    Shapes:     N×C×H×W → N×(C·H·W), with the default axis 1 and end_axis −1.
    Parameters: flatten_param axis (1), end_axis (−1: the last).
    Formula:    y = x, read in the same order.
    Gradient:   dx = dy, in the same memory.
    Source:     Caffe 1.0.
    """

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        shape, settings = bottom[0], self.param.flatten_param
        first = canonical_axis(settings.axis, len(shape), ("flatten_param", "axis"))
        last = canonical_axis(settings.end_axis, len(shape), ("flatten_param", "end_axis"))
        if first > last:
            raise LayerError(
                f"end_axis {last} comes before axis {first}", field=("flatten_param", "end_axis")
            )
        return [(*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])]


@register("Reshape")
class Reshape(SameMemory):
    """The same elements in another shape.

    Shapes:     num_axes axes from `axis` on are replaced by `shape`, where 0 copies the bottom's
                size at that place and one −1 takes what is left.
    Parameters: shape, axis (0; −1 is behind the last axis), num_axes (−1: all that follow).
    Formula:    y = x, read in the same order.
    Gradient:   dx = dy, in the same memory. Not in place (Caffe).
    Source:     Caffe 1.0.
    """

    def setup(self) -> None:
        self.settings = self.param.reshape_param
        self.sizes = tuple(self.settings.shape.dim)
        for index, size in enumerate(self.sizes):
            field = ("reshape_param", "shape", "dim", index)
            if size < -1:
                raise LayerError(f"a dimension cannot be {size}", field=field)
            if size == -1 and -1 in self.sizes[:index]:
                raise LayerError("only one dimension can be −1", field=field)
        if self.settings.num_axes < -1:
            raise LayerError(
                f"num_axes must be at least −1, not {self.settings.num_axes}",
                field=("reshape_param", "num_axes"),
            )

    def _replaced(self, rank: int) -> tuple[int, int]:
        """Returns the first axis that is replaced and the first after it that is kept."""
        axis = self.settings.axis
        first = axis if axis >= 0 else rank + axis + 1
        if not 0 <= first <= rank:
            raise LayerError(
                f"axis {axis} is out of range for a bottom of {rank} axes",
                field=("reshape_param", "axis"),
                help=f"axis must be from {-rank - 1} to {rank}",
            )
        count = self.settings.num_axes
        end = rank if count == -1 else first + count
        if end > rank:
            raise LayerError(
                f"num_axes {count} from axis {first} on goes beyond the bottom's {rank} axes",
                field=("reshape_param", "num_axes"),
            )
        return first, end

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        shape = bottom[0]
        first, end = self._replaced(len(shape))
        sizes = list(self.sizes)
        for index, size in enumerate(sizes):
            if size == 0:
                if first + index >= len(shape):
                    raise LayerError(
                        f"dim 0 copies the bottom's axis {first + index}, which it does not have",
                        field=("reshape_param", "shape", "dim", index),
                    )
                sizes[index] = shape[first + index]
        kept = (*shape[:first], *shape[end:])
        if -1 in sizes:
            index = sizes.index(-1)
            rest = math.prod(size for size in sizes if size != -1) * math.prod(kept)
            if not rest or math.prod(shape) % rest:
                raise LayerError(
                    f"{math.prod(shape)} elements ({shape_text(shape)}) cannot be divided "
                    f"by {rest}, the product of the other dimensions",
                    field=("reshape_param", "shape", "dim", index),
                    code="E203",
                )
            sizes[index] = math.prod(shape) // rest
        top = (*shape[:first], *sizes, *shape[end:])
        if math.prod(top) != math.prod(shape):
            raise LayerError(
                f"{shape_text(shape)} has {math.prod(shape)} elements, "
                f"but {shape_text(top)} would have {math.prod(top)}",
                field=("reshape_param", "shape"),
                code="E203",
            )
        return [top]


@register("Silence")
class Silence(Layer):
    """Reads blobs so that they are no outputs of the net.

    Shapes:   any number of blobs → nothing.
    Formula:  none: nothing is computed.
    Gradient: dx = 0.
    Source:   Caffe 1.0.
    """

    bottoms, tops = AtLeast(1), Exactly(0)

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        return []

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Nothing is made."""

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        for blob, wanted in zip(bottom, self.propagate_down, strict=True):
            if wanted:
                kernels.fill(y=blob.diff, n=blob.count, value=0)
