"""HDF5Output: writing two blobs to an HDF5 file."""

from __future__ import annotations

import math
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from protonet.blob import Blob
from protonet.ir.files import atomic_path
from protonet.prototxt.diagnostics import Error

from .base import Exactly, Layer, LayerError, Shape, shape_text
from .registry import register

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIELD = ("hdf5_output_param", "file_name")
_SETS = ("data", "label")
_MOST_AXES = 4


@register("HDF5Output")
class HDF5Output(Layer):
    """Writes its bottoms to the data sets `data` and `label` of an HDF5 file, pass after pass.

    Shapes:     N×… and N×…, of at most 4 axes; they are written with 4 (missing ones are 1), and
                the rows of each pass follow those of the one before.
    Parameters: file_name; a file of this name is replaced by the first pass.
    Gradient:   none.
    Rules:      Caffe ends with an error at the second pass; this goes on.
    Source:     Caffe 1.0.
    """

    bottoms, tops = Exactly(2), Exactly(0)
    labels = (0, 1)
    dynamic = True
    _file: Any = None

    def setup(self) -> None:
        self.path = self.param.hdf5_output_param.file_name
        if not self.path:
            raise LayerError(
                "file_name is missing", field=_FIELD[:1], help="name the file to write"
            )

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        for index, shape in enumerate(bottom):
            if not 1 <= len(shape) <= _MOST_AXES:
                raise LayerError(
                    f"{shape_text(shape)}: a blob of 1 to {_MOST_AXES} axes can be written",
                    bottom=index,
                    code="E203",
                )
        if bottom[0][0] != bottom[1][0]:
            raise LayerError(
                f"{bottom[0][0]} rows of data, but {bottom[1][0]} of labels", bottom=1, code="E203"
            )
        return []

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        with self._told():
            if self._file is None:
                self._create(bottom)
            for name, blob in zip(_SETS, bottom, strict=True):
                found, rows = self._file[name], blob.shape[0]
                whole = (*blob.shape, *[1] * (_MOST_AXES - len(blob.shape)))
                if found.shape[1:] != whole[1:]:
                    raise LayerError(
                        f"rows of {shape_text(whole[1:])} do not fit those written before, "
                        f"of {shape_text(found.shape[1:])}",
                        field=_FIELD,
                        code="E454",
                    )
                found.resize(found.shape[0] + rows, axis=0)
                found[-rows:] = blob.data.reshape(whole)
            self._file.flush()

    def _create(self, bottom: list[Blob]) -> None:
        """Puts an empty file in place of the old one and opens it."""
        import h5py

        with atomic_path(self.path) as temporary, h5py.File(temporary, "w") as file:
            for name, blob in zip(_SETS, bottom, strict=True):
                row = (*blob.shape[1:], *[1] * (_MOST_AXES - len(blob.shape)))
                per_chunk = max(1, min(blob.shape[0], (1 << 20) // max(1, 4 * math.prod(row))))
                file.create_dataset(
                    name, (0, *row), blob.dtype, maxshape=(None, *row), chunks=(per_chunk, *row)
                )
        self._file = h5py.File(self.path, "r+", locking=False)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turns what is wrong with the file into a LayerError."""
        try:
            yield
        except Error as error:
            told = error.diagnostics[0].message
            raise LayerError(f"{self.path}: {told}", field=_FIELD, code="E455") from None
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise LayerError(
                f"{self.path}: cannot write this file: {reason.lower()}", field=_FIELD, code="E455"
            ) from None

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        """Nothing comes back from a file."""

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
