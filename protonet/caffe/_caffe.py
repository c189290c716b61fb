"""What pycaffe's compiled module offers, under its name."""

from protonet.blob import Blob
from protonet.ir.protonet_pb2 import LayerParameter, SolverParameter
from protonet.layers.python_layer import PythonLayer as Layer
from protonet.layers.registry import layer_types

from .glog import init_log, log
from .nccl import NCCL
from .net import Net
from .processors import (
    has_nccl,
    set_device,
    set_mode_cpu,
    set_mode_gpu,
    set_multiprocess,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
from .random_seed import set_random_seed
from .solver import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    Solver,
    get_solver,
)
from .timer import Timer

__version__ = "1.0.0"  # of the interface: scripts ask which pycaffe they talk to

# What Caffe's vectors are here.
BlobVec = BoolVec = DtypeVec = IntVec = LayerVec = NetVec = RawBlobVec = StringVec = list

__all__ = [
    "NCCL", "AdaDeltaSolver", "AdaGradSolver", "AdamSolver", "Blob", "BlobVec", "BoolVec",
    "DtypeVec", "IntVec", "Layer", "LayerParameter", "LayerVec", "NesterovSolver", "Net", "NetVec",
    "RMSPropSolver", "RawBlobVec", "SGDSolver", "Solver", "SolverParameter", "StringVec", "Timer",
    "get_solver", "has_nccl", "init_log", "layer_type_list", "log", "set_device", "set_mode_cpu",
    "set_mode_gpu", "set_multiprocess", "set_random_seed", "set_solver_count", "set_solver_rank",
    "solver_count", "solver_rank",
]  # fmt: skip


def layer_type_list() -> list[str]:
    """Returns all layer types in alphabetical order."""
    return layer_types()
