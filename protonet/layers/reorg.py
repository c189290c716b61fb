"""Reorg: YOLO v2's way of joining a fine map with a coarse one."""

from __future__ import annotations

from typing import Any

from protonet import kernels
from protonet.blob import Blob

from .base import Layer, LayerError, Shape, shape_text
from .registry import register

_FIELD = "reorg_param"


@register("Reorg")
class Reorg(Layer):
    """Trades positions for channels, s×s of them for each channel; or back (reverse).

    Shapes:     N×C×H×W → N×Cs²×H/s×W/s; reverse: N×C/s²×Hs×Ws.
    Parameters: stride (s, 2), reverse (false).
    Formula:    reverse: y[c mod G, hs + ⌊b/s⌋, ws + b mod s] = x[c, h, w], G = C/s², b = ⌊c/G⌋. Not
                reverse: y is x read in that order as if x were C/s²×Hs×Ws, as Darknet does it, so C
                must be a multiple of s² there too.
    Gradient:   the way back.
    Source:     Redmon and Farhadi 2017 (YOLO v2); Darknet's reorg.
    """

    def setup(self) -> None:
        self.settings = self.param.reorg_param
        self.stride = self.settings.stride if self.settings.HasField("stride") else 2
        if self.stride < 1:
            raise LayerError("stride must be at least 1", field=(_FIELD, "stride"))

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if len(bottom[0]) != 4:
            raise LayerError(f"N×C×H×W is needed, not {shape_text(bottom[0])}", bottom=0)
        n, channels, height, width = bottom[0]
        s = self.stride
        if channels % s**2:
            raise LayerError(
                f"{channels} channels are no multiple of {s}² = {s**2}", field=(_FIELD, "stride")
            )
        if self.settings.reverse:
            return [(n, channels // s**2, height * s, width * s)]
        if height % s or width % s:
            raise LayerError(
                f"{height}×{width} positions do not divide into blocks of {s}×{s}",
                field=(_FIELD, "stride"),
            )
        return [(n, channels * s**2, height // s, width // s)]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        n, channels, height, width = bottom[0].shape
        self.size: dict[str, Any] = {
            "n": n, "channels": channels, "height": height, "width": width,
            "stride": self.stride,
        }  # fmt: skip

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.reorg(x=bottom[0].data, y=top[0].data, enlarge=self.settings.reverse, **self.size)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.reorg(
                x=top[0].diff, y=bottom[0].diff, enlarge=not self.settings.reverse, **self.size
            )
