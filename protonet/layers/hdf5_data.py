"""HDF5Data: the rows of HDF5 files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from protonet.data.hdf5_source import Hdf5Batches, first_row_shapes

from .base import AtLeast, LayerError, Shape
from .data_layer import PrefetchedLayer, batch_size
from .registry import register

if TYPE_CHECKING:
    from protonet.data.arrays import Batch
    from protonet.data.prefetch import BatchMaker


@register("HDF5Data")
class HDF5Data(PrefetchedLayer):
    """Rows of the data sets that are named as the tops, file after file, around and around.

    Shapes:     → N×(the shape of a row), for each top; N is batch_size.
    Parameters: source (a file that lists HDF5 files, one a line), batch_size, shuffle (the files,
                and the rows within a file; anew in each epoch).
    Rules:      files and rows come in order unless shuffled; a batch may reach over the end of a
                file.
    Source:     Caffe 1.0.
    """

    tops = AtLeast(1)
    source_field = ("hdf5_data_param", "source")
    # HDF5's library has one lock for all of a process: threads gain nothing, and one that is
    # stopped while it holds the lock, as at the interpreter's end, leaves the others waiting.
    in_threads = False

    def setup(self) -> None:
        self.settings = self.param.hdf5_data_param
        self.batch = batch_size(self.settings, "hdf5_data_param")
        if self.param.HasField("transform_param"):
            raise LayerError(
                "HDF5Data does not transform its data",
                field=("transform_param",),
                help="transform it when the file is made, or use Data or ImageData",
            )

    def first_shapes(self) -> list[Shape]:
        rows = first_row_shapes(self.settings.source, list(self.param.top))
        return [(self.batch, *shape) for shape in rows]

    def maker(self, dtype: np.dtype) -> Callable[[], BatchMaker[Batch]]:
        return partial(
            Hdf5Batches, self.settings.source, list(self.param.top), self.batch,
            self.settings.shuffle, dtype, self.position, self.key,
        )  # fmt: skip
