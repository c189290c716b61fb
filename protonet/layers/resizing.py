"""Feature maps of another size, by bilinear interpolation."""

from __future__ import annotations

import math
from typing import Any

from protonet import kernels
from protonet.blob import Blob

from .base import Between, Layer, LayerError, Shape, shape_text
from .registry import register
from .sampling import Rule, judge_pixels, linear_weights

__all__ = ["BilinearResizing"]


class BilinearResizing(Layer):
    """Each pixel is a mean of the four around its position in the original, weighted by nearness.

    What a subclass tells is the size, and the rule for positions. Gradient: each dy goes to the
    four pixels by the same weights.
    """

    rule: Rule = "corners"

    def resized(self, bottom: list[Shape]) -> tuple[int, int]:
        """Returns the output's height and width."""
        raise NotImplementedError

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if len(bottom[0]) != 4:
            raise LayerError(
                f"{self.type} takes N×C×H×W, not {len(bottom[0])} axes ({shape_text(bottom[0])})",
                bottom=0,
            )
        out = self.resized(bottom)
        if min(out) < 1:
            raise LayerError(f"the output would be {shape_text(out)}", code="E204")
        judge_pixels(bottom[0], out)
        return [(*bottom[0][:2], *out)]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        size, out, dtype = bottom[0].shape[2:], top[0].shape[2:], bottom[0].dtype
        self.weights: dict[str, Any] = {
            "planes": math.prod(bottom[0].shape[:2]), "height": size[0], "width": size[1],
            "out_height": out[0], "out_width": out[1],
        }  # fmt: skip
        for axis, name in enumerate(("row", "column")):
            places, weights = linear_weights(size[axis], out[axis], self.rule)
            self.weights |= {name: places, f"{name}_weight": weights.astype(dtype)}

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.bilinear_resize(x=bottom[0].data, y=top[0].data, **self.weights)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.bilinear_resize_backward(shape=self.weights, dy=top[0].diff, dx=bottom[0].diff)


@register("Interp")
class Interp(BilinearResizing):
    """Bilinear interpolation; the centres of the corner pixels stay where they are.

    Shapes:     N×C×H×W → N×C×H'×W'. With H cut by −pad_beg and −pad_end: H' = height, or
                (H − 1)/shrink_factor + 1 rounded down, and then (H' − 1)·zoom_factor + 1. A second
                bottom gives the size instead.
    Parameters: interp_param height and width, or shrink_factor, zoom_factor; pad_beg and pad_end,
                at most 0.
    Formula:    pixel i lies at i (H − 1)/(H' − 1)
    Gradient:   each dy goes to the four pixels by the same weights.
    Source:     DeepLab's and PSPNet's forks.
    """

    bottoms = Between(1, 2)

    def setup(self) -> None:
        self.settings = settings = self.param.interp_param
        for name in ("height", "width", "shrink_factor", "zoom_factor"):
            if settings.HasField(name) and getattr(settings, name) < 1:
                raise LayerError(f"{name} must be at least 1", field=("interp_param", name))
        if settings.HasField("height") != settings.HasField("width"):
            given = "height" if settings.HasField("height") else "width"
            raise LayerError("height and width go together", field=("interp_param", given))
        has_size = settings.HasField("height")
        has_factor = settings.HasField("shrink_factor") or settings.HasField("zoom_factor")
        if self.bottom_count == 1 and has_size == has_factor:
            raise LayerError(
                "give either height and width, or shrink_factor or zoom_factor",
                field=("interp_param", "height") if has_size else ("interp_param",),
            )
        self.cut = (-settings.pad_beg, -settings.pad_end)
        for name, cut in zip(("pad_beg", "pad_end"), self.cut, strict=True):
            if cut < 0:
                raise LayerError(
                    f"{name} must not be above 0", field=("interp_param", name),
                    help="a negative pad cuts pixels off; to add some use Pad",
                )  # fmt: skip

    def resized(self, bottom: list[Shape]) -> tuple[int, int]:
        inside = [h - sum(self.cut) for h in bottom[0][2:]]
        if min(inside) < 1:
            raise LayerError(
                f"pad_beg and pad_end cut off all of a {shape_text(bottom[0][2:])} plane",
                field=("interp_param",),
                code="E204",
            )
        if len(bottom) == 2:
            if len(bottom[1]) != 4:
                raise LayerError("the bottom that gives the size must be N×C×H×W", bottom=1)
            return bottom[1][2], bottom[1][3]
        if self.settings.HasField("height"):
            return self.settings.height, self.settings.width
        height, width = (
            (h - 1) // self.settings.shrink_factor * self.settings.zoom_factor + 1 for h in inside
        )
        return height, width

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        super().reshape(bottom, top)
        if not any(self.cut):
            return
        for axis, name in enumerate(("row", "column")):
            inside = bottom[0].shape[2 + axis] - sum(self.cut)
            places, weights = linear_weights(inside, top[0].shape[2 + axis], self.rule)
            self.weights[name] = places + places.dtype.type(self.cut[0])
            self.weights[f"{name}_weight"] = weights.astype(bottom[0].dtype)


@register("BilinearInterpolate")
class BilinearInterpolate(BilinearResizing):
    """Bilinear interpolation to a size, or by a factor.

    Shapes:     N×C×H×W → N×C×H'×W', H' = dst_h (H, if only dst_w is given), or scale_factor·H
                rounded down.
    Parameters: bilinear_interpolate_param dst_h, dst_w, scale_factor, align_corners (true).
    Formula:    pixel i lies at i (H − 1)/(H' − 1); align_corners false: (i + ½) H/H' − ½
    Gradient:   each dy goes to the four pixels by the same weights.
    Source:     the fork of brocolli.
    """

    def setup(self) -> None:
        self.settings = settings = self.param.bilinear_interpolate_param
        self.rule = "corners" if settings.align_corners else "centers"
        given = [name for name in ("dst_h", "dst_w") if settings.HasField(name)]
        if bool(given) == settings.HasField("scale_factor"):
            raise LayerError(
                "give either dst_h and dst_w, or scale_factor",
                field=("bilinear_interpolate_param", *given[:1]),
            )
        if settings.HasField("scale_factor") and not 0 < settings.scale_factor < math.inf:
            raise LayerError(
                "scale_factor must be positive and finite",
                field=("bilinear_interpolate_param", "scale_factor"),
            )

    def resized(self, bottom: list[Shape]) -> tuple[int, int]:
        settings = self.settings
        if settings.HasField("scale_factor"):
            height, width = (int(h * settings.scale_factor) for h in bottom[0][2:])
            return height, width
        return (
            settings.dst_h if settings.HasField("dst_h") else bottom[0][2],
            settings.dst_w if settings.HasField("dst_w") else bottom[0][3],
        )


@register("Resize")
class Resize(BilinearResizing):
    """Bilinear interpolation; the centres of the first pixels stay where they are.

    Shapes:     N×C×H×W → N×C×height×width; is_pyramid_test: H' = out_height_scale·H and
                W' = out_width_scale·W, rounded down.
    Parameters: resize_param height, width; is_pyramid_test, out_height_scale, out_width_scale.
    Formula:    pixel i lies at i·H/H', at most at H − 1
    Gradient:   each dy goes to the four pixels by the same weights.
    Source:     the fork of brocolli.
    """

    rule: Rule = "origin"

    def setup(self) -> None:
        self.settings = self.param.resize_param
        scaled = self.settings.is_pyramid_test
        self.names = ("out_height_scale", "out_width_scale") if scaled else ("height", "width")
        for name in self.names:
            if not 0 < getattr(self.settings, name) < math.inf:
                raise LayerError(
                    f"{name} must be above 0 and finite",
                    field=("resize_param", *([name] if self.settings.HasField(name) else [])),
                )

    def resized(self, bottom: list[Shape]) -> tuple[int, int]:
        height, width = (getattr(self.settings, name) for name in self.names)
        if self.settings.is_pyramid_test:
            return int(height * bottom[0][2]), int(width * bottom[0][3])
        return int(height), int(width)
