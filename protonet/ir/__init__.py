"""The intermediate representation: messages, files that hold them, upgrades, rules, splits."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .binary import read_blob, write_blob
    from .document import (
        Document,
        read_document,
        read_net,
        read_net_document,
        read_solver,
        read_solver_document,
    )
    from .files import atomic_write
    from .protonet_pb2 import LayerParameter, NetParameter, NetState, SolverParameter
    from .rules import filter_net
    from .splits import insert_splits
    from .upgrade import upgrade_net, upgrade_solver
    from .weights import LayerWeights, Weights, read_weights, write_weights

_HOMES = {
    "binary": ["read_blob", "write_blob"],
    "document": [
        "Document",
        "read_document",
        "read_net",
        "read_net_document",
        "read_solver",
        "read_solver_document",
    ],
    "files": ["atomic_write"],
    "protonet_pb2": ["LayerParameter", "NetParameter", "NetState", "SolverParameter"],
    "rules": ["filter_net"],
    "splits": ["insert_splits"],
    "upgrade": ["upgrade_net", "upgrade_solver"],
    "weights": ["LayerWeights", "Weights", "read_weights", "write_weights"],
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Document",
    "LayerParameter",
    "LayerWeights",
    "NetParameter",
    "NetState",
    "SolverParameter",
    "Weights",
    "atomic_write",
    "filter_net",
    "insert_splits",
    "read_blob",
    "read_document",
    "read_net",
    "read_net_document",
    "read_solver",
    "read_solver_document",
    "read_weights",
    "upgrade_net",
    "upgrade_solver",
    "write_blob",
    "write_weights",
]


def __getattr__(name: str) -> Any:
    """Import a name's module when the name is first used: importing the room stays quick."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
