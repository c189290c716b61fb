"""Reading .onnx files, which may be cut off, foreign or made to do harm.

Codes: E310 the file cannot be read, E620 it is no ONNX model, E621 the model is not sound.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from protonet.extras import import_extra
from protonet.ir.files import FilePath, map_file, place
from protonet.prototxt.diagnostics import Diagnostic, Error

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

__all__ = ["read_model", "tensor_array"]

_MOST_REASON = 300  # characters of a reason


def read_model(path: FilePath) -> ModelProto:
    """Reads and judges a model, with the tensors that it keeps in files beside it."""
    file = os.fspath(path)
    data = map_file(path)
    onnx: Any = import_extra("onnx", "onnx")
    model: ModelProto = onnx.ModelProto()
    try:
        model.ParseFromString(bytes(data))
    except Exception as error:  # protobuf's own class of it differs between its versions
        raise _wrong("E620", file, f"this is no ONNX model, or one cut off: {error}") from None
    if not model.graph.node and not model.graph.input:
        raise _wrong("E620", file, "this is no ONNX model: it has no graph")
    try:
        _load_external(model, file)
        for tensor in model.graph.initializer:
            _judge(tensor, file)
    except UnicodeDecodeError:
        raise _wrong("E620", file, "a name in it is no text") from None
    try:
        onnx.checker.check_model(model)
    except Exception as error:
        raise _wrong("E621", file, f"the model is not sound: {error}") from None
    return model


def _load_external(model: ModelProto, file: str) -> None:
    helper: Any = import_extra("onnx.external_data_helper", "onnx")
    if not any(helper.uses_external_data(tensor) for tensor in model.graph.initializer):
        return
    try:
        helper.load_external_data_for_model(model, os.path.dirname(file) or ".")
    except Exception as error:
        reason = f"a tensor kept in another file cannot be read: {error}"
        raise _wrong("E621", file, reason) from None


def _judge(tensor: TensorProto, file: str) -> None:
    """Raises Error if a tensor holds less than its dims promise, or more."""
    helper: Any = import_extra("onnx.helper", "onnx")
    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except Exception:
        raise _wrong("E621", file, f'tensor "{tensor.name}" is of an unknown type') from None
    count = math.prod(tensor.dims)
    if min(tensor.dims, default=0) < 0:
        raise _wrong("E621", file, f'tensor "{tensor.name}" has a negative dimension')
    if tensor.HasField("raw_data") and len(tensor.raw_data) * 8 < count * _bits(dtype):
        raise _wrong(
            "E621", file,
            f'tensor "{tensor.name}" should hold {count} numbers, but has {len(tensor.raw_data)} '
            "bytes: is the file cut off?",
        )  # fmt: skip
    if not tensor.HasField("raw_data"):
        stored = sum(
            len(getattr(tensor, name))
            for name in ("float_data", "int32_data", "int64_data", "double_data", "uint64_data",
                         "string_data")
        )  # fmt: skip
        if count > 2 * stored:  # complex numbers and half bytes are stored two by two
            raise _wrong(
                "E621", file, f'tensor "{tensor.name}" should hold {count} numbers, not {stored}'
            )


def _bits(dtype: np.dtype[Any]) -> int:
    return 4 if dtype.itemsize == 1 else 8 * dtype.itemsize  # some types are half bytes


def tensor_array(tensor: TensorProto, file: str) -> np.ndarray:
    """Returns a tensor's numbers. Raises Error E621 if its dims and its bytes do not agree."""
    try:
        array: np.ndarray = import_extra("onnx.numpy_helper", "onnx").to_array(tensor)
    except Exception as error:  # whatever numpy says of them
        raise _wrong("E621", file, f'tensor "{tensor.name}" is not sound: {error}') from None
    if array.dtype.kind in "cOSU":
        kind = "complex numbers" if array.dtype.kind == "c" else "text"
        raise _wrong("E621", file, f'tensor "{tensor.name}" holds {kind}, which no blob can')
    return array.astype(np.float32) if array.dtype.kind == "V" else array  # bfloat16 and less


def _wrong(code: str, file: str, message: str) -> Error:
    short = " ".join(message.split())
    if len(short) > _MOST_REASON:
        short = short[:_MOST_REASON] + "…"
    return Error(Diagnostic(code, short, (place(file),)))
