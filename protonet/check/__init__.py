"""Checking: what is wrong with a net or solver, its shapes and costs, without running it.

protonet.check("train_val.prototxt")      a list of Diagnostic, empty if all is well
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from protonet.ir.document import Document
    from protonet.ir.protonet_pb2 import NetParameter, SolverParameter
    from protonet.prototxt.diagnostics import Diagnostic

__all__ = ["check"]


def check(
    target: str | os.PathLike[str] | NetParameter | SolverParameter | Document[Any],
) -> list[Diagnostic]:
    """Returns all that is wrong or doubtful in a net or solver, without running or allocating it.

    `target` is a prototxt file (its content tells which it is) or a message, which has no
    places to point at. A net is judged in both phases, a solver with the nets that it names.
    """
    from protonet.ir.document import Document
    from protonet.ir.protonet_pb2 import SolverParameter
    from protonet.ir.upgrade import upgrade_net, upgrade_solver
    from protonet.prototxt.source import SourceMap

    from .examine import Options, examine, examine_net
    from .solver import examine_solver

    if isinstance(target, str | os.PathLike):
        return examine(target).diagnostics
    if not isinstance(target, Document):
        if isinstance(target, SolverParameter):
            target = Document(*upgrade_solver(target, SourceMap()))
        else:
            target = Document(*upgrade_net(target, SourceMap()))
    if isinstance(target.message, SolverParameter):
        return examine_solver(target, Options()).diagnostics
    return examine_net(target, Options()).diagnostics


class _CallableModule(ModuleType):
    """`protonet.check` is this package as soon as anything in it is imported, and a function for
    those who call it: it has to be both."""

    def __call__(self, target: Any) -> list[Diagnostic]:
        return check(target)


sys.modules[__name__].__class__ = _CallableModule
