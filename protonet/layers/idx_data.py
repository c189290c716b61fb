"""IdxData: the files in which MNIST is distributed, without a database."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from protonet.data.errors import DataError, existing_elsewhere
from protonet.data.idx_batches import IdxBatches, read_idx_images
from protonet.data.transformer import Transformer

from .base import TRAIN, Between, LayerError, Shape
from .data_layer import PrefetchedLayer, about, batch_size, without_effect
from .registry import register

if TYPE_CHECKING:
    from protonet.data.arrays import Array, Batch
    from protonet.data.prefetch import BatchMaker

_GROUP = "data_param"


@register("IdxData")
class IdxData(PrefetchedLayer):
    """The images and labels of two IDX files, packed by gzip or not, around and around.

    Shapes:     → N×1×H×W, and N labels if there is a second top; N is batch_size; H×W is cropped
                if transform_param says so.
    Parameters: data_param { source: the images, label_source: the labels, batch_size, prefetch,
                shuffle (anew in each epoch) }, transform_param: see protonet.data.transformer.
    Source:     protonet's own; the format is MNIST's (LeCun et al. 1998).
    """

    tops = Between(1, 2)
    source_field = (_GROUP, "source")

    def setup(self) -> None:
        self.settings = self.param.data_param
        self.batch = batch_size(self.settings, _GROUP)
        self.depth = max(1, self.settings.prefetch)
        if not self.settings.label_source:
            raise LayerError(
                "label_source is missing", field=(_GROUP,), help="name the IDX file of the labels"
            )
        with about("transform_param"):
            self.transformer = Transformer(self.param.transform_param, self.phase == TRAIN)

    def warnings(self) -> list[LayerError]:
        return without_effect(self.param, _GROUP)

    def _read(self) -> tuple[Array, Array]:
        for path in (self.settings.source, self.settings.label_source):
            if not os.path.exists(path):
                raise DataError(
                    f"the file {path or '(no name)'} is not there",
                    code="E450",
                    help=existing_elsewhere(path),
                    missing=True,
                )
        return read_idx_images(self.settings.source, self.settings.label_source)

    def first_shapes(self) -> list[Shape]:
        image = self.transformer.image_shape(*self._read()[0].shape[1:])
        return [(self.batch, *image), (self.batch,)][: self.top_count]

    def maker(self, dtype: np.dtype) -> Callable[[], BatchMaker[Batch]]:
        with about(*self.source_field):
            images, labels = self._read()
        return partial(
            IdxBatches, images, labels, self.settings.source, self.transformer, self.batch,
            self.settings.shuffle, dtype, self.position, self.key,
        )  # fmt: skip
