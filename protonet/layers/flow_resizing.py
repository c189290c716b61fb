"""FlowNet's ways to another size: Resample, Downsample, Accum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.protonet_pb2 import ResampleParameter

from .base import AtLeast, Between, Layer, LayerError, Shape, shape_text
from .registry import register
from .resizing import BilinearResizing
from .sampling import judge_pixels, taps


def _size_of_second(layer: Layer, bottom: list[Shape], field: str, names: tuple[str, str]) -> Shape:
    """Returns the second bottom's plane, or what the fields say; LayerError if there is none."""
    if len(bottom[0]) != 4 or len(bottom[-1]) != 4:
        odd = 0 if len(bottom[0]) != 4 else 1
        raise LayerError(f"{layer.type} takes N×C×H×W, not {shape_text(bottom[odd])}", bottom=odd)
    if len(bottom) == 2:
        judge_pixels(bottom[0], bottom[1])
        return bottom[1][2:]
    settings = getattr(layer.param, field)
    for name in names:
        if getattr(settings, name) < 1:
            raise LayerError(
                f"{name} must be at least 1",
                field=(field, name) if settings.HasField(name) else (field,),
                help="or name a second bottom whose size is wanted",
            )
    judge_pixels(bottom[0], (1, 1))
    return tuple(getattr(settings, name) for name in names)


def _cubic(x: np.ndarray) -> np.ndarray:
    x = abs(x)
    near, far = x * x * (1.5 * x - 2.5) + 1, x * (x * (-0.5 * x + 2.5) - 4) + 2
    return np.select([x <= 1, x < 2], [near, far])


def _triangle(x: np.ndarray) -> np.ndarray:
    weights: np.ndarray = np.maximum(0, 1 - abs(x))
    return weights


@register("Resample")
class Resample(Layer):
    """Another size by the nearest pixels, or by a weighted mean of those around.

    Shapes:     N×C×H×W → N×C×H'×W': height, width, or the size of a second bottom.
    Parameters: resample_param type NEAREST, LINEAR (triangle) or CUBIC; antialias (true: wider
                weights when the map shrinks); height, width.
    Formula:    with f = H/H' and g = W/W' row i lies at i·f + g/2 − ½, column i at i·g + f/2 − ½;
                y = Σ w(a·(row − k)) · w(b·(column − l)) · x[k, l] over its own Σ w, a = 1/f and
                b = 1/g with antialias where the map shrinks, else 1
    Gradient:   each dy goes back by the same weights; none to the second bottom.
    Rules:      f and g stand swapped in the offsets, as in the fork: it shows where they differ.
    Source:     FlowNet 2.0 (Ilg et al. 2017) and its fork of Caffe; its cubic is Keys' of 1981.
    """

    bottoms = Between(1, 2)

    def setup(self) -> None:
        self.settings = self.param.resample_param
        if self.settings.type == ResampleParameter.AREA:
            raise LayerError(
                "the type must be NEAREST, LINEAR or CUBIC", field=("resample_param", "type")
            )

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        size = _size_of_second(self, bottom, "resample_param", ("height", "width"))
        return [(*bottom[0][:2], *size)]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        size, out = bottom[0].shape[2:], top[0].shape[2:]
        self.is_nearest = self.settings.type == ResampleParameter.NEAREST
        self.weights: dict[str, Any] = {
            "planes": math.prod(bottom[0].shape[:2]), "height": size[0], "width": size[1],
            "out_height": out[0], "out_width": out[1],
        }  # fmt: skip
        factors = [h / max(h_out, 1) for h, h_out in zip(size, out, strict=True)]
        for axis, name in enumerate(("row", "column")):
            at = np.arange(out[axis]) * factors[axis] + factors[1 - axis] / 2 - 0.5
            if self.is_nearest:
                whole = np.floor(abs(at) + 0.5) * np.sign(at)  # halves away from zero
                self.weights[name] = whole.clip(0, size[axis] - 1).astype(np.int32)
            else:
                first, weights = self._taps(size[axis], at, factors[axis], max(factors) > 1)
                self.weights[name] = first
                self.weights[f"{name}_weight"] = weights.astype(bottom[0].dtype)
                self.weights[f"{name}_taps"] = weights.shape[1]
        if self.is_nearest:
            self.weights["fill"] = 0.0

    def _taps(
        self, size: int, at: np.ndarray, factor: float, shrinks: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        is_cubic = self.settings.type == ResampleParameter.CUBIC
        narrow = 1 / factor if shrinks and self.settings.antialias else 1.0
        reach = 2 if factor < 1 else math.ceil((4 if is_cubic else 2) / narrow)
        weigh = _cubic if is_cubic else _triangle
        first, weights = taps(size, at, reach, lambda x: weigh(narrow * x))
        sums = weights.sum(axis=1, keepdims=True)
        return first, np.divide(weights, sums, out=np.zeros_like(weights), where=sums != 0)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        run = kernels.pick_pixels if self.is_nearest else kernels.resample
        run(x=bottom[0].data, y=top[0].data, **self.weights)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            run = kernels.pick_pixels_backward if self.is_nearest else kernels.resample_backward
            run(shape=self.weights, dy=top[0].diff, dx=bottom[0].diff)


@register("Downsample")
class Downsample(Layer):
    """A smaller map, each pixel a mean of those around its place; what is unknown is NaN.

    Shapes:     N×C×H×W → N×C×H'×W': top_height, top_width, or the size of a second bottom; at
                most H×W.
    Parameters: downsample_param top_height, top_width.
    Formula:    y[i] = Σ w·x / Σ w, w = max(0, 1 − |k − i·s| / s) along each axis,
                s = (H − 1)/(H' − 1); NaN is left out, and y is NaN if more than half as much
                weight was left out as was counted
    Gradient:   none: it is for ground truth.
    Source:     FlowNet (Dosovitskiy et al. 2015) and its fork of Caffe.
    """

    bottoms = Between(1, 2)
    labels = (0, 1)

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        size = _size_of_second(self, bottom, "downsample_param", ("top_height", "top_width"))
        if any(h_out > h for h, h_out in zip(bottom[0][2:], size, strict=True)):
            raise LayerError(
                f"{shape_text(bottom[0][2:])} is smaller than {shape_text(size)}",
                bottom=0, code="E204", help="Resample makes maps larger, too",
            )  # fmt: skip
        return [(*bottom[0][:2], *size)]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        size, out = bottom[0].shape[2:], top[0].shape[2:]
        self.is_copy = size == out
        self.weights: dict[str, Any] = {
            "planes": math.prod(bottom[0].shape[:2]), "height": size[0], "width": size[1],
            "out_height": out[0], "out_width": out[1],
        }  # fmt: skip
        for axis, name in enumerate(("row", "column")):
            first, weights = self._taps(size[axis], out[axis])
            self.weights[name] = first
            self.weights[f"{name}_weight"] = weights.astype(bottom[0].dtype)
            self.weights[f"{name}_taps"] = weights.shape[1]

    def _taps(self, size: int, out: int) -> tuple[np.ndarray, np.ndarray]:
        if out == 1:  # the one pixel stands for all alike
            return np.zeros(1, np.int32), np.ones((1, size))
        step = (size - 1) / (out - 1)
        return taps(size, np.arange(out) * step, math.ceil(step), lambda x: _triangle(x / step))

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, y = bottom[0].data, top[0].data
        if self.is_copy:
            kernels.copy(x=x, y=y, n=top[0].count)
        else:
            kernels.mean_of_numbers(x=x, y=y, **self.weights)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        """There is no gradient."""


@register("Accum")
class Accum(Layer):
    """Feature maps brought to one size by bilinear interpolation, and joined along the channels.

    Shapes:     N×Cᵢ×Hᵢ×Wᵢ → N×(Σ Cᵢ)×H×W; H×W is the last bottom's if have_reference (which is
                not joined), else top_height×top_width if both are larger than all bottoms, or the
                largest bottom's, rounded up to a multiple of size_divisible_by.
    Parameters: accum_param have_reference, top_height, top_width, size_divisible_by.
    Formula:    pixel i lies at i (Hᵢ − 1)/(H − 1)
    Gradient:   each dy goes to the four pixels by the same weights; none to the reference.
    Source:     FlowNet 2.0 (Ilg et al. 2017) and its fork of Caffe.
    """

    bottoms = AtLeast(1)

    def setup(self) -> None:
        self.settings = self.param.accum_param
        self.has_reference = self.settings.have_reference
        self.joined = self.bottom_count - self.has_reference
        if self.joined < 1:
            raise LayerError("a reference alone is nothing to join", field=("bottom", 0))
        given = self.settings.HasField("size_divisible_by")
        if given and self.settings.size_divisible_by < 1:
            raise LayerError(
                "size_divisible_by must be at least 1", field=("accum_param", "size_divisible_by")
            )

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        for number, shape in enumerate(bottom):
            if len(shape) != 4 or (shape[0] != bottom[0][0] and number < self.joined):
                raise LayerError(
                    f"the bottoms must be N×C×H×W of one N, not {shape_text(shape)}", bottom=number
                )
        size = self._size(bottom)
        for number, shape in enumerate(bottom[: self.joined]):
            judge_pixels(shape, size, number)
        channels = sum(shape[1] for shape in bottom[: self.joined])
        return [(bottom[0][0], channels, *size)]

    def _size(self, bottom: list[Shape]) -> Shape:
        if self.has_reference:
            return bottom[-1][2:]
        largest = tuple(max(shape[axis] for shape in bottom) for axis in (2, 3))
        wanted: Shape = (self.settings.top_height, self.settings.top_width)
        if self.settings.HasField("size_divisible_by"):
            by = self.settings.size_divisible_by
            wanted = tuple(-(-size // by) * by for size in largest)
        grows = all(w > size for w, size in zip(wanted, largest, strict=True))
        return wanted if grows else largest

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.resizers: list[BilinearResizing] = []
        self.parts: list[Blob] = []
        for index in range(self.joined):
            resizer = BilinearResizing(self.param, self.phase)
            part = Blob((*bottom[index].shape[:2], *top[0].shape[2:]), bottom[0].dtype)
            resizer.propagate_down = [self.propagate_down[index]]
            resizer.reshape([bottom[index]], [part])
            self.resizers.append(resizer)
            self.parts.append(part)

    def _move(self, top: np.ndarray, parts: list[np.ndarray], join: bool) -> None:
        """Copies the parts into the top's channels, or back."""
        start, across = 0, math.prod(top.shape[1:])
        for part in parts:
            columns = math.prod(part.shape[1:])
            there = {"array": top.reshape(-1)[start:], "row": across}
            here = {"array": part, "row": columns}
            source, target = (here, there) if join else (there, here)
            kernels.copy_rows(
                x=source["array"], y=target["array"], rows=top.shape[0], columns=columns,
                x_row=source["row"], y_row=target["row"],
            )  # fmt: skip
            start += columns

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        for index, resizer in enumerate(self.resizers):
            resizer.forward([bottom[index]], [self.parts[index]])
        self._move(top[0].data, [part.data for part in self.parts], join=True)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if any(self.propagate_down):
            self._move(top[0].diff, [part.diff for part in self.parts], join=False)
        for index, resizer in enumerate(self.resizers):
            resizer.backward([self.parts[index]], [bottom[index]])
