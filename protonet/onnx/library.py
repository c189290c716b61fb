"""The optional packages behind this room, loaded when they are first needed."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

from protonet.prototxt.diagnostics import Error

__all__ = ["load"]


def load(name: str) -> ModuleType:
    """Imports onnx, onnxruntime or a part of one; Error that names the extra if it is not there."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the packages about themselves
            return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise Error(
            f"this needs the Python package {package}: pip install 'protonet[onnx]' ({error})"
        ) from None
