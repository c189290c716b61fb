"""DummyData: blobs that a filler makes."""

from __future__ import annotations

import numpy as np

from protonet.blob import Blob
from protonet.fillers import fill, judge
from protonet.ir.protonet_pb2 import FillerParameter

from .base import AtLeast, LayerError, Shape
from .data_layer import DataLayer
from .registry import register

_GROUP = "dummy_data_param"
_DIMENSIONS = ("num", "channels", "height", "width")


@register("DummyData")
class DummyData(DataLayer):
    """Blobs filled by data_filler: a constant one once, any other before each forward.

    Shapes:     one `shape` (or num, channels, height, width, of former times) for each top, or
                one for all of them.
    Parameters: data_filler: none (zeros), one for all tops, or one for each.
    Source:     Caffe 1.0.
    """

    tops = AtLeast(1)

    def setup(self) -> None:
        self.settings = self.param.dummy_data_param
        self._shapes = self._read_shapes()
        fillers = list(self.settings.data_filler)
        if len(fillers) not in (0, 1, self.top_count):
            raise LayerError(
                f"{len(fillers)} data_filler for {self.top_count} tops",
                field=(_GROUP, "data_filler"),
                help="give none, one for all tops, or one for each",
            )
        one_for_all = len(fillers) != self.top_count
        self._fillers = (fillers or [FillerParameter()]) * (self.top_count if one_for_all else 1)
        for number, (filler, shape) in enumerate(zip(self._fillers, self._shapes, strict=True)):
            try:
                judge(filler, shape)
            except LayerError as error:
                error.field = (_GROUP, "data_filler", 0 if one_for_all else number, *error.field)
                raise
        self._filled = [False] * self.top_count

    def _read_shapes(self) -> list[Shape]:
        shapes = [tuple(shape.dim) for shape in self.settings.shape]
        legacy = {name: list(getattr(self.settings, name)) for name in _DIMENSIONS}
        if shapes and any(legacy.values()):
            raise LayerError(
                "give shape, or num, channels, height and width, not both", field=(_GROUP, "shape")
            )
        counts = [len(shapes)] if shapes else [len(values) for values in legacy.values()]
        for name, count in zip(("shape",) if shapes else _DIMENSIONS, counts, strict=True):
            if count not in (1, self.top_count):
                raise LayerError(
                    f"{count} {name} for {self.top_count} tops",
                    field=(_GROUP, name),
                    help="give one for each top, or one for all of them",
                )
        if not shapes:
            whole = [
                values if len(values) == self.top_count else values * self.top_count
                for values in legacy.values()
            ]
            shapes = list(zip(*whole, strict=True))
        for number, shape in enumerate(shapes):
            for size in shape:
                if size < 0:
                    raise LayerError(
                        f"a dimension cannot be {size}", field=(_GROUP, "shape", number, "dim")
                    )
        return shapes if len(shapes) == self.top_count else shapes * self.top_count

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        return self._shapes

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        for number, (blob, filler) in enumerate(zip(top, self._fillers, strict=True)):
            if filler.type == "constant" and not self._filled[number]:
                blob.data.fill(filler.value)
                self._filled[number] = True

    def reseed(self, random: np.random.Generator) -> None:
        self.random, self._key, self.position = random, None, 0

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        for number, (blob, filler) in enumerate(zip(top, self._fillers, strict=True)):
            if filler.type != "constant":
                fill(blob.data, filler, np.random.default_rng([self.key, self.position, number]))
        self.position += 1
