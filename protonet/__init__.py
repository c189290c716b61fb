"""protonet: compile, check, train and run neural networks described in Caffe's text files.

Everything here is loaded when it is first used, so that the import itself costs little.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from protonet.blob import Blob
    from protonet.check import check
    from protonet.ir.document import read_net, read_solver
    from protonet.ir.protonet_pb2 import NetParameter, SolverParameter
    from protonet.net import Net
    from protonet.plan import Plan, compile
    from protonet.prototxt import format_text
    from protonet.prototxt.diagnostics import Diagnostic, Error
    from protonet.solvers import Solver

__version__ = "0.1.0"

__all__ = [
    "Blob",
    "Diagnostic",
    "Error",
    "Net",
    "NetParameter",
    "Plan",
    "Solver",
    "SolverParameter",
    "check",
    "compile",
    "format_text",
    "read_net",
    "read_solver",
]

_PLACES = {
    "Blob": "protonet.blob",
    "Diagnostic": "protonet.prototxt.diagnostics",
    "Error": "protonet.prototxt.diagnostics",
    "Net": "protonet.net",
    "Plan": "protonet.plan",
    "NetParameter": "protonet.ir.protonet_pb2",
    "Solver": "protonet.solvers",
    "SolverParameter": "protonet.ir.protonet_pb2",
    "check": "protonet.check",
    "compile": "protonet.plan",
    "format_text": "protonet.prototxt",
    "read_net": "protonet.ir.document",
    "read_solver": "protonet.ir.document",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'protonet' has no attribute {name!r}")
    module = import_module(_PLACES[name])
    # `check` is a package and, called, a function: the name stays the package's.
    found = module if module.__name__ == f"{__name__}.{name}" else getattr(module, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
