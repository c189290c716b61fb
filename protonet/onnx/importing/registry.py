"""Which function reads which operator: `@reads("Conv")`.

A function takes a Node and returns the blobs (or constants) of its results. The first line of its
text, which names the layers, is the operator's entry in docs/onnx.md.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from .node import Node

if TYPE_CHECKING:
    from .builder import Blob

__all__ = ["NodeReader", "Result", "node_reader", "node_readers", "reads"]

Result: TypeAlias = "Blob | np.ndarray | list[Blob]"
NodeReader: TypeAlias = Callable[[Node], Result]

_readers: dict[str, NodeReader] = {}


def reads(*kinds: str) -> Callable[[NodeReader], NodeReader]:
    """Makes the function the one that reads operators of these names."""

    def add(function: NodeReader) -> NodeReader:
        for kind in kinds:
            _readers[kind] = function
        return function

    return add


@cache
def node_readers() -> dict[str, NodeReader]:
    """Returns all functions by operator."""
    package = importlib.import_module("protonet.onnx.importing.operators")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return _readers


def node_reader(kind: str) -> NodeReader | None:
    """Returns the function for an operator, or None if it cannot be read."""
    return node_readers().get(kind)
