"""MemoryData: arrays that a program hands over."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from protonet.blob import Blob
from protonet.data.errors import DataError

from .base import Exactly, LayerError, Shape, shape_text
from .data_layer import DataLayer, batch_size
from .registry import register


@register("MemoryData")
class MemoryData(DataLayer):
    """Batches of the arrays last given to `set_input_arrays`, in order, around and around.

    Shapes:     → N×C×H×W and N labels (N×1×1×1 once it has run, as in Caffe).
    Parameters: batch_size (N), channels, height, width.
    Source:     Caffe 1.0.
    """

    tops = Exactly(2)

    def setup(self) -> None:
        settings = self.param.memory_data_param
        self.batch = batch_size(settings, "memory_data_param")
        self.image = (int(settings.channels), int(settings.height), int(settings.width))
        for name, size in zip(("channels", "height", "width"), self.image, strict=True):
            if size < 1:
                raise LayerError(f"{name} must be at least 1", field=("memory_data_param", name))
        self._arrays: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None = None

    def warnings(self) -> list[LayerError]:
        if not self.param.HasField("transform_param"):
            return []
        return [
            LayerError(
                "transform_param has no effect on the arrays of a MemoryData layer",
                field=("transform_param",),
                code="W210",
            )
        ]

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        return [(self.batch, *self.image), (self.batch,)]

    def set_input_arrays(self, data: npt.ArrayLike, labels: npt.ArrayLike) -> None:
        """Takes M images, M×C×H×W, and their M labels; M is a multiple of the batch size.

        C-contiguous arrays of the net's float type are used where they are, not copied. Raises
        Error E454 where they do not fit.
        """
        images, numbers = np.ascontiguousarray(data), np.ascontiguousarray(labels)
        if images.shape[1:] != self.image or images.ndim != 4:
            raise DataError(
                f'layer "{self.name}" takes images of {shape_text(self.image)} in an array of '
                f"4 axes, not {shape_text(images.shape)}",
                code="E454",
            )
        count = len(images)
        if not count or count % self.batch:
            raise DataError(
                f'layer "{self.name}" takes a multiple of its batch_size {self.batch} images, '
                f"not {count}",
                code="E454",
            )
        if numbers.size != count:
            raise DataError(f"{numbers.size} labels for {count} images", code="E454")
        self._arrays = images, numbers.reshape(count, 1, 1, 1)
        self.position = 0

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        if self._arrays is None:
            raise LayerError(
                "no data was given",
                code="E450",
                help="call set_input_arrays(data, labels) before the first forward",
            )
        start = self.position % len(self._arrays[0])
        for blob, array in zip(top, self._arrays, strict=True):
            blob.reshape(self.batch, *array.shape[1:])
            blob.data[...] = array[start : start + self.batch]
        self.position += self.batch
