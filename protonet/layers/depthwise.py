"""Convolutions that keep channels apart: ConvolutionDepthwise, DepthwiseConvolution."""

from __future__ import annotations

from .base import LayerError, Shape
from .convolution import FIELD, Convolution
from .registry import register

__all__ = ["Depthwise"]


class Depthwise(Convolution):
    """A Convolution with as many groups as channels: one filter, or several, for each channel."""

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        axis, _ = self._geometry(bottom[0])
        self.group = self.groups(bottom[0][axis])
        if self.outputs % self.group:
            raise LayerError(
                f"num_output {self.outputs} is not a multiple of the {self.group} channels",
                field=(FIELD, "num_output"),
                help=f"num_output: {self.group} gives each channel one filter",
            )
        return super().infer(bottom)

    def groups(self, channels: int) -> int:
        """Returns the number of groups for that many channels."""
        return max(1, channels)


@register("DepthwiseConvolution")
class DepthwiseConvolution(Depthwise):
    """Convolution whose group is the number of channels unless it is given.

    Shapes:     N×C×H×W → N×O×H'×W', H' = floor((H + 2P − D(F−1) − 1)/S) + 1; W is O×1×F×F, b is O.
    Parameters: those of Convolution; O must be a multiple of C.
    Formula:    y[n, c·O/C + m, i] = b + Σ over f of W[c·O/C + m, f] · x[n, c, S·i − P + D·f]
    Gradient:   that of Convolution.
    Source:     MobileNet (Howard et al. 2017); the forks of that layer.
    """

    def groups(self, channels: int) -> int:
        given = self.settings.HasField("group")
        return int(self.settings.group) if given else super().groups(channels)


@register("ConvolutionDepthwise")
class ConvolutionDepthwise(Depthwise):
    """Convolution with one filter for each channel; `group` is not looked at.

    Shapes:     N×C×H×W → N×C×H'×W', H' = floor((H + 2P − D(F−1) − 1)/S) + 1; W is C×1×F×F, b is C.
    Parameters: those of Convolution; num_output must be C.
    Formula:    y[n,c,i] = b[c] + Σ over f of W[c,f] · x[n, c, S·i − P + D·f]
    Gradient:   that of Convolution.
    Source:     the fork of ShuffleNet's authors of Caffe nets (farmingyard).
    """

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        axis, _ = self._geometry(bottom[0])
        if bottom[0][axis] and self.outputs != bottom[0][axis]:
            raise LayerError(
                f"there is one filter for each of the {bottom[0][axis]} channels, "
                f"but num_output is {self.outputs}",
                field=(FIELD, "num_output"),
            )
        return super().infer(bottom)
