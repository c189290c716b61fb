"""Functions found by name: one for each layer type, or for each operator."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Functions"]

F = TypeVar("F")


class Functions(Generic[F]):
    """The functions that the modules of a package have registered, which are loaded when the
    first is asked for."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._found: dict[str, F] = {}
        self._loaded = False

    def adds(self, *names: str) -> Callable[[F], F]:
        """Makes the function that follows the one for these names."""

        def add(function: F) -> F:
            self._found.update(dict.fromkeys(names, function))
            return function

        return add

    def all(self) -> dict[str, F]:
        """Returns all functions by name."""
        if not self._loaded:
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self._package}.{module.name}")
            self._loaded = True
        return self._found
