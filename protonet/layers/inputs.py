"""Input: blobs that the user fills."""

from __future__ import annotations

from protonet.blob import Blob

from .base import AtLeast, Exactly, Layer, LayerError, Shape
from .registry import register


@register("Input")
class Input(Layer):
    """Blobs that are filled from outside before each pass.

    Shapes:     one `shape` for each top, or one for all of them; none leaves the tops empty until
                they are reshaped.
    Parameters: input_param shape, given once or for each top.
    Source:     Caffe 1.0.
    """

    bottoms, tops = Exactly(0), AtLeast(1)

    def setup(self) -> None:
        shapes = self.param.input_param.shape
        if len(shapes) not in (0, 1, self.top_count):
            raise LayerError(
                f"{len(shapes)} shapes for {self.top_count} tops",
                field=("input_param", "shape"),
                help="give one shape for each top, or one for all",
            )
        for number, shape in enumerate(shapes):
            for axis, size in enumerate(shape.dim):
                if size < 0:
                    raise LayerError(
                        f"a dimension cannot be {size}",
                        field=("input_param", "shape", number, "dim", axis),
                    )

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        shapes = [tuple(shape.dim) for shape in self.param.input_param.shape] or [(0,)]
        return shapes if len(shapes) == self.top_count else shapes[:1] * self.top_count

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        """The values are there already."""

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        """There is nothing below."""
