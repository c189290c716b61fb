"""Making `import caffe`, and of any of its submodules, give protonet.caffe.

    protonet.caffe.bind()          from now on, in this process
    sys.modules["caffe"] = protonet.caffe       does the same

Each submodule is one and the same module under both names.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

__all__ = ["bind"]

_NAME, _OURS = "caffe", "protonet.caffe"


def bind() -> None:
    """Makes `caffe` a name of protonet.caffe; ImportError if another caffe is loaded already."""
    ours = import_module(_OURS)
    if sys.modules.setdefault(_NAME, ours) is not ours:
        raise ImportError(f"another caffe is loaded: {sys.modules[_NAME]}")


class _SameModule(Loader):
    """Gives a module of ours for its other name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        self._module = import_module(self._name)
        self._spec = self._module.__spec__
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the import system has put the other name's there


class _Finder(MetaPathFinder):
    """Finds caffe.NAME where `caffe` is protonet.caffe."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        ours = sys.modules.get(_OURS)
        if not fullname.startswith(f"{_NAME}.") or sys.modules.get(_NAME) is not ours:
            return None
        name = _OURS + fullname[len(_NAME) :]
        if find_spec(name) is None:
            return None
        return ModuleSpec(fullname, _SameModule(name), is_package=_is_package(name))


def _is_package(name: str) -> bool:
    found = find_spec(name)
    return found is not None and found.submodule_search_locations is not None


sys.meta_path.insert(0, _Finder())
