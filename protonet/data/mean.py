"""Mean images: a .binaryproto with one blob of the images' size, or a .npy with such an array."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from protonet.ir.blobs import BlobError, blob_in
from protonet.ir.files import map_file
from protonet.ir.foreign import recognise
from protonet.ir.wire import WireError

from .errors import DataError, existing_elsewhere

__all__ = ["read_mean", "resized_mean"]

_FIELD = ("transform_param", "mean_file")
_NPY = b"\x93NUMPY"


def read_mean(path: str) -> npt.NDArray[np.floating[Any]]:
    """Reads a mean image, C×H×W. Raises DataError: missing, or not a mean image."""
    if not os.path.exists(path):
        raise DataError(
            f"the mean file {path} is not there",
            code="E450",
            help=existing_elsewhere(path)
            or "give one mean_value per channel instead, or make the file",
            field=_FIELD,
            missing=True,
        )
    content = map_file(path)
    try:
        values = _npy(content) if bytes(content[: len(_NPY)]) == _NPY else blob_in(content).array
    except (WireError, BlobError, ValueError) as error:
        kind = recognise(content)
        what = f"this is {kind.what}" if kind and "binary" not in kind.what else str(error)
        raise DataError(f"{path}: not a mean image: {what}", field=_FIELD) from None
    if values.ndim == 4 and values.shape[0] == 1:
        values = values[0]
    if values.ndim != 3 or not values.size:
        raise DataError(
            f"{path}: not a mean image: its shape is {'×'.join(map(str, values.shape)) or '()'}, "
            "not C×H×W",
            field=_FIELD,
        )
    return np.array(values)


def resized_mean(mean: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[Any]:
    """Returns a C×H×W mean as C×height×width, each number between its four neighbours as pixels
    are that are resized."""
    for axis, size in ((1, height), (2, width)):
        if mean.shape[axis] != size:
            place = (np.arange(size) + 0.5) * mean.shape[axis] / size - 0.5
            place = place.clip(0, mean.shape[axis] - 1)
            first = np.minimum(place.astype(np.int64), max(mean.shape[axis] - 2, 0))
            second = np.minimum(first + 1, mean.shape[axis] - 1)
            shape = (-1, 1) if axis == 1 else (-1,)
            weight = (place - first).astype(mean.dtype).reshape(shape)
            low, high = mean.take(first, axis), mean.take(second, axis)
            mean = low + (high - low) * weight
    return np.ascontiguousarray(mean)


def _npy(content: memoryview) -> npt.NDArray[np.floating[Any]]:
    """Returns the numbers of a .npy file. Raises ValueError."""
    values = np.load(io.BytesIO(content), allow_pickle=False)
    if values.dtype.kind not in "fiu":
        raise ValueError(f"it holds {values.dtype}, not numbers")
    return np.asarray(values, np.float32)
