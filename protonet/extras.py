"""Packages that only some commands need: imported when they are used, with the way to get them."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

from protonet.prototxt.diagnostics import Diagnostic, Error

__all__ = ["import_extra"]


def import_extra(module: str, extra: str) -> Any:
    """Imports a module of a package that comes with an extra of protonet; Error E430 that names
    the extra if it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what packages say about themselves while they load
            return import_module(module)
    except ImportError as error:
        raise Error(
            Diagnostic(
                "E430",
                f"this needs {module.partition('.')[0]}, which is not installed ({error})",
                help=f"pip install 'protonet[{extra}]'",
            )
        ) from error
