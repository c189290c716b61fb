"""The solver's type, once a number, is a name.

Codes: E410 both forms of the type, I107 the type was upgraded.
"""

from __future__ import annotations

from .protonet_pb2 import SolverParameter
from .trail import Trail

__all__ = ["upgrade_solver_type"]

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
