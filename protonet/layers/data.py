"""Data: the records of a database."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from protonet.data.datum_batches import DatumBatches, first_image_shape
from protonet.data.transformer import Transformer
from protonet.ir.protonet_pb2 import DataParameter

from .base import TRAIN, Between, LayerError, Shape
from .data_layer import PrefetchedLayer, about, batch_size, without_effect
from .registry import register

if TYPE_CHECKING:
    from protonet.data.arrays import Batch
    from protonet.data.prefetch import BatchMaker


@register("Data")
class Data(PrefetchedLayer):
    """Images and labels of a database of Datum records, in the order of their keys.

    Shapes:     → N×C×H×W, and N labels if there is a second top; N is batch_size. C×H×W are those
                of the batch's first record, cropped if transform_param says so.
    Parameters: data_param source, backend, batch_size, prefetch (batches made ahead, at least);
                transform_param.
    Rules:      after the last record comes the first again. Encoded records are decoded to B, G, R.
    Source:     Caffe 1.0.
    """

    tops = Between(1, 2)
    source_field = ("data_param", "source")

    def setup(self) -> None:
        self.settings = self.param.data_param
        self.batch = batch_size(self.settings, "data_param")
        self.depth = max(1, self.settings.prefetch)
        self.leveldb = self.settings.backend == DataParameter.LEVELDB
        with about("transform_param"):
            self.transformer = Transformer(self.param.transform_param, self.phase == TRAIN)

    def warnings(self) -> list[LayerError]:
        return without_effect(self.param, "data_param")

    def first_shapes(self) -> list[Shape]:
        image = first_image_shape(self.settings.source, self.leveldb, self.transformer)
        return [(self.batch, *image), (self.batch,)][: self.top_count]

    def maker(self, dtype: np.dtype) -> Callable[[], BatchMaker[Batch]]:
        return partial(
            DatumBatches, self.settings.source, self.leveldb, self.transformer, self.batch, dtype,
            self.position, self.key,
        )  # fmt: skip
