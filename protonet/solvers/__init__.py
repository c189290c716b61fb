"""Solvers: learning-rate policies, update rules, the training loop, snapshots.

solver = Solver("models/lenet/solver.prototxt")
solver.solve()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .checking import check_solver

if TYPE_CHECKING:
    from .solver import Solver

__all__ = ["Solver", "check_solver"]


def __getattr__(name: str) -> Any:
    if name != "Solver":  # check_solver alone must not bring the nets' machinery with it
        raise AttributeError(f"module 'protonet.solvers' has no attribute {name!r}")
    return import_module("protonet.solvers.solver").Solver
