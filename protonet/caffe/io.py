"""Pictures and messages: what pycaffe has in caffe.io."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from protonet.ir.binary import array_datum, datum_array

from .images import load_image, oversample, resize_image
from .proto import caffe_pb2
from .transformer import Transformer

__all__ = [
    "Transformer", "array_to_blobproto", "array_to_datum", "arraylist_to_blobprotovector_str",
    "blobproto_to_array", "blobprotovector_str_to_arraylist", "caffe_pb2", "datum_to_array",
    "load_image", "oversample", "resize_image",
]  # fmt: skip

Array = npt.NDArray[Any]
_FORMER_AXES = ("num", "channels", "height", "width")


def blobproto_to_array(blob: caffe_pb2.BlobProto, return_diff: bool = False) -> Array:
    """Returns the values of a BlobProto, or its gradient; ValueError if they do not fit its shape.

    Four axes if its shape is given the former way, a scalar if it has none.
    """
    double = blob.double_diff if return_diff else blob.double_data
    values = np.array(double or (blob.diff if return_diff else blob.data), np.float64)
    if any(blob.HasField(axis) for axis in _FORMER_AXES):
        return values.reshape([getattr(blob, axis) for axis in _FORMER_AXES])
    return values.reshape(tuple(blob.shape.dim))


def array_to_blobproto(arr: Array, diff: Array | None = None) -> caffe_pb2.BlobProto:
    """Returns an array, and its gradient, as a BlobProto."""
    blob = caffe_pb2.BlobProto()
    blob.shape.dim.extend(np.shape(arr))
    blob.data.extend(np.asarray(arr, np.float64).ravel().tolist())
    if diff is not None:
        blob.diff.extend(np.asarray(diff, np.float64).ravel().tolist())
    return blob


def arraylist_to_blobprotovector_str(arraylist: Iterable[Array]) -> bytes:
    """Returns arrays as the bytes of a BlobProtoVector."""
    vector = caffe_pb2.BlobProtoVector(blobs=[array_to_blobproto(array) for array in arraylist])
    return vector.SerializeToString()


def blobprotovector_str_to_arraylist(str: bytes) -> list[Array]:
    """Returns the arrays in the bytes of a BlobProtoVector."""
    vector = caffe_pb2.BlobProtoVector.FromString(str)
    return [blobproto_to_array(blob) for blob in vector.blobs]


def array_to_datum(arr: Array, label: int | None = None) -> caffe_pb2.Datum:
    """Returns a C×H×W array as a Datum: bytes if it is uint8, else floats."""
    if arr.ndim != 3:
        raise ValueError("Incorrect array shape.")
    return array_datum(arr, None if label is None else int(label))


def datum_to_array(datum: caffe_pb2.Datum) -> Array:
    """Returns the C×H×W values of a Datum: uint8, or float64 if it holds floats."""
    values = datum_array(datum)
    return values.copy() if values.dtype == np.uint8 else values.astype(np.float64)
