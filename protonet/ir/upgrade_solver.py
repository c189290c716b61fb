"""The solver's type, once a number, is a name; and where its snapshots go.

Codes: E410 both forms of the type, I107 the type was upgraded.
"""

from __future__ import annotations

import os

from .protonet_pb2 import SolverParameter
from .trail import Trail

__all__ = ["snapshot_prefix", "upgrade_solver_type"]

_TYPES = {
    SolverParameter.SGD: "SGD",
    SolverParameter.NESTEROV: "Nesterov",
    SolverParameter.ADAGRAD: "AdaGrad",
    SolverParameter.RMSPROP: "RMSProp",
    SolverParameter.ADADELTA: "AdaDelta",
    SolverParameter.ADAM: "Adam",
}


def upgrade_solver_type(solver: SolverParameter, trail: Trail) -> None:
    """Put the name of solver_type into type."""
    if not solver.HasField("solver_type"):
        return
    name = _TYPES[solver.solver_type]
    if solver.HasField("type"):
        trail.say(
            "E410",
            "a solver cannot have both `type` and `solver_type`",
            ("solver_type",),
            also=(("type",),),
            help=f'`solver_type` is the older form: keep `type: "{solver.type}"`',
        )
        return
    trail.say("I107", f'solver_type was upgraded to `type: "{name}"`', ("solver_type",))
    trail.moved({("type",): ("solver_type",)})
    solver.ClearField("solver_type")
    solver.type = name


def snapshot_prefix(solver: SolverParameter, file: str) -> str:
    """Give the beginning of the names of a solver's snapshots.

    This is the field of that name; without it the solver's file name without its extension;
    and if it names a folder, that file name in the folder.
    """
    stem = os.path.splitext(file)[0]
    prefix = solver.snapshot_prefix
    if not prefix:
        return stem
    return os.path.join(prefix, os.path.basename(stem)) if os.path.isdir(prefix) else prefix
