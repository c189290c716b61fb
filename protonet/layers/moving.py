"""Layers that move elements: Crop, Permute, Tile."""

from __future__ import annotations

import math
from typing import Any

from protonet import kernels
from protonet.blob import Blob

from .base import Exactly, Layer, LayerError, Shape, canonical_axis, shape_text
from .registry import register

MOST_AXES = 8  # as many as the kernels' structs hold


@register("Crop")
class Crop(Layer):
    """A part of the first bottom, as large as the second from `axis` on.

    Shapes:     x a×b×h×w and a reference ·×·×H×W… → a×b×H×W, with the default axis 2.
    Parameters: axis (2), offset (none: 0; one: for all axes that are cut; else one for each).
    Formula:    y[i, …] = x[i + offset, …] along each axis that is cut.
    Gradient:   dx = dy where x was taken, 0 elsewhere; the reference's diff is not touched.
    Source:     Long, Shelhamer and Darrell 2015 (FCN); Caffe 1.0.
    """

    bottoms = Exactly(2)

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        whole, reference = bottom
        if len(reference) < len(whole):
            raise LayerError(
                f"the reference {shape_text(reference)} has too few axes to cut "
                f"{shape_text(whole)} to its sizes",
                bottom=1,
                code="E203",
            )
        first, offsets = self._offsets(len(whole))
        for axis in range(first, len(whole)):
            if offsets[axis] + reference[axis] > whole[axis]:
                raise LayerError(
                    f"the crop leaves the bottom: on axis {axis} {reference[axis]} elements "
                    f"from {offsets[axis]} on, of {whole[axis]}",
                    field=("crop_param", "offset", 0) if any(offsets) else ("bottom", 1),
                    code="E203",
                )
        cropped = (*whole[:first], *reference[first : len(whole)])
        if len(_merged(whole, cropped, offsets)[0]) > MOST_AXES:
            raise LayerError(f"at most {MOST_AXES} axes can be cut", field=("crop_param", "axis"))
        return [cropped]

    def _offsets(self, rank: int) -> tuple[int, tuple[int, ...]]:
        """Returns the first axis that is cut, and where the part begins on every axis."""
        settings = self.param.crop_param
        first = canonical_axis(settings.axis, rank, ("crop_param", "axis"))
        given, cut = list(settings.offset), rank - first
        if len(given) not in (0, 1, cut):
            raise LayerError(
                f"{len(given)} offset for {cut} axes that are cut",
                field=("crop_param", "offset", 0),
                help="give none, one for all of them, or one for each",
            )
        offsets = given if len(given) == cut else (given or [0]) * cut
        return first, (0,) * first + tuple(offsets)

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        _, offsets = self._offsets(len(bottom[0].shape))
        size, out, offset = _merged(bottom[0].shape, top[0].shape, offsets)
        self.shape = {"axes": len(size), "size": size, "out": out, "offset": offset}

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.crop(x=bottom[0].data, y=top[0].data, **self.shape)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.crop_backward(shape=self.shape, dy=top[0].diff, dx=bottom[0].diff)


def _merged(
    size: Shape, out: Shape, offset: tuple[int, ...]
) -> tuple[list[int], list[int], list[int]]:
    """Joins each axis that is not cut to the one before it."""
    sizes, outs, offsets = [1], [1], [0]
    for whole, part, start in zip(size, out, offset, strict=True):
        if whole == part:
            sizes[-1] *= whole
            outs[-1] *= whole
            offsets[-1] *= whole
        else:
            sizes.append(whole)
            outs.append(part)
            offsets.append(start)
    return sizes, outs, offsets


@register("Permute")
class Permute(Layer):
    """The axes in another order.

    Shapes:     top axis i is bottom axis order[i]; axes that order leaves out follow as they were.
    Parameters: order.
    Formula:    y[i_order[0], i_order[1], …] = x[i₀, i₁, …].
    Gradient:   dy with its axes put back.
    Source:     Liu et al. 2016 (SSD).
    """

    def setup(self) -> None:
        order = list(self.param.permute_param.order)
        for index, axis in enumerate(order):
            if axis in order[:index]:
                raise LayerError(
                    f"axis {axis} is named twice", field=("permute_param", "order", index)
                )

    def _order(self, rank: int) -> list[int]:
        order = list(self.param.permute_param.order)
        for index, axis in enumerate(order):
            if axis >= rank:
                raise LayerError(
                    f"axis {axis} is out of range for a bottom of {rank} axes",
                    field=("permute_param", "order", index),
                )
        return order + [axis for axis in range(rank) if axis not in order]

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        order = self._order(len(bottom[0]))
        if len(permute_walk(bottom[0], order)["size"]) > MOST_AXES:
            raise LayerError(f"at most {MOST_AXES} axes can change places", bottom=0)
        return [tuple(bottom[0][axis] for axis in order)]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        order = self._order(len(bottom[0].shape))
        back = sorted(range(len(order)), key=order.__getitem__)
        self.there = permute_walk(bottom[0].shape, order)
        self.back = permute_walk(top[0].shape, back)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.permute(x=bottom[0].data, y=top[0].data, **self.there)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.permute(x=top[0].diff, y=bottom[0].diff, **self.back)


def permute_walk(shape: Shape, order: list[int]) -> dict[str, Any]:
    """Returns the permute kernel's sizes and steps; axes that stay together are one."""
    steps = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    size, step = [1], [1]
    for axis in order:
        if shape[axis] == 1:
            continue
        if step[-1] == steps[axis] * shape[axis]:
            size[-1], step[-1] = size[-1] * shape[axis], steps[axis]
        else:
            size.append(shape[axis])
            step.append(steps[axis])
    if len(size) > 1:  # the 1 that all began with
        size, step = size[1:], step[1:]
    return {"axes": len(size), "size": size, "step": step}


@register("Tile")
class Tile(Layer):
    """What lies from `axis` on, repeated.

    Shapes:     the size along axis times `tiles`.
    Parameters: axis (1), tiles.
    Formula:    y = x, x, … side by side along the axis, `tiles` times.
    Gradient:   dx = Σ dy of the copies.
    Source:     Caffe 1.0.
    """

    def setup(self) -> None:
        self.tiles = self.param.tile_param.tiles
        if self.tiles < 1:
            given = self.param.tile_param.HasField("tiles")
            raise LayerError(
                "tiles must be at least 1" if given else "tiles must be given",
                field=("tile_param", "tiles"),
            )

    def _axis(self, shape: Shape) -> int:
        return canonical_axis(self.param.tile_param.axis, len(shape), ("tile_param", "axis"))

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        shape, axis = bottom[0], self._axis(bottom[0])
        return [(*shape[:axis], shape[axis] * self.tiles, *shape[axis + 1 :])]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape = bottom[0].shape
        axis = self._axis(shape)
        rows, columns = math.prod(shape[:axis]), math.prod(shape[axis:])
        self.size = {"rows": rows, "columns": columns, "tiles": self.tiles}

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.repeat(x=bottom[0].data, y=top[0].data, **self.size)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.repeat_backward(dy=top[0].diff, dx=bottom[0].diff, **self.size)
