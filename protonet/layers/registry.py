"""Finding a layer's class by the `type` of its text: ours, and those of installed packages.

A package adds layers by an entry point in the group `protonet.layers`: its name is the layer
type, its value the class.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from .base import TEST, Layer, LayerError

if TYPE_CHECKING:
    from protonet.ir.protonet_pb2 import LayerParameter

__all__ = ["create_layer", "layer_class", "layer_types", "register"]

L = TypeVar("L", bound=type[Layer])

_classes: dict[str, type[Layer]] = {}


def register(name: str) -> Callable[[L], L]:
    """Makes the class the layer of that type."""

    def add(layer: L) -> L:
        if name in _classes:
            raise ValueError(f"layer type {name!r} is registered twice")
        layer.type = layer.type or name
        _classes[name] = layer
        return layer

    return add


@cache
def _load() -> None:
    package = importlib.import_module("protonet.layers")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"protonet.layers.{module.name}")
    for entry in importlib.metadata.entry_points(group="protonet.layers"):
        if entry.name not in _classes:
            register(entry.name)(entry.load())


def layer_types() -> list[str]:
    """Returns all known layer types in alphabetical order."""
    _load()
    return sorted(_classes)


def layer_class(name: str) -> type[Layer] | None:
    """Returns the class of a layer type, or None if there is none of that name."""
    _load()
    return _classes.get(name)


def create_layer(param: LayerParameter, phase: int = TEST) -> Layer:
    """Makes the layer that `param` describes; LayerError if its type or parameters are wrong."""
    found = layer_class(param.type)
    if found is None:
        raise LayerError(f"unknown layer type {param.type!r}", field=("type",), code="E101")
    return found(param, phase)
