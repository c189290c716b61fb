"""Errors as pycaffe's scripts catch them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from protonet.prototxt.diagnostics import Error

__all__ = ["CaffeError", "caffe_errors"]


class CaffeError(Error, RuntimeError):
    """What Caffe ends the process for, or pycaffe raises a RuntimeError for.

    A protonet.Error with its diagnostics, and a RuntimeError, as scripts expect it.
    """

    __module__ = "protonet.caffe"


@contextmanager
def caffe_errors() -> Iterator[None]:
    """Turns protonet's errors into CaffeError; what a user's own code raises passes through."""
    try:
        yield
    except CaffeError:
        raise
    except Error as error:
        raise CaffeError(*error.diagnostics) from None
