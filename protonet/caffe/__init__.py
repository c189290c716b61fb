"""pycaffe's public names, served by protonet: `import protonet.caffe as caffe`.

Scripts that say `import caffe` run unchanged by `python -m protonet.caffe SCRIPT ARGUMENTS`, or
after `protonet.caffe.bind()`.
"""

from protonet.layers.base import TEST, TRAIN

from . import io, proto, pycaffe
from ._caffe import (
    NCCL,
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    Layer,
    NesterovSolver,
    Net,
    RMSPropSolver,
    SGDSolver,
    Timer,
    __version__,
    get_solver,
    has_nccl,
    init_log,
    layer_type_list,
    log,
    set_device,
    set_mode_cpu,
    set_mode_gpu,
    set_multiprocess,
    set_random_seed,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
from .binding import bind
from .classifier import Classifier
from .detector import Detector
from .errors import CaffeError
from .net_spec import NetSpec, layers, params, to_proto

__all__ = [
    "NCCL", "TEST", "TRAIN", "AdaDeltaSolver", "AdaGradSolver", "AdamSolver", "CaffeError",
    "Classifier", "Detector", "Layer", "NesterovSolver", "Net", "NetSpec", "RMSPropSolver",
    "SGDSolver", "Timer", "__version__", "bind", "get_solver", "has_nccl", "init_log", "io",
    "layer_type_list", "layers", "log", "params", "proto", "pycaffe", "set_device", "set_mode_cpu",
    "set_mode_gpu", "set_multiprocess", "set_random_seed", "set_solver_count", "set_solver_rank",
    "solver_count", "solver_rank", "to_proto",
]  # fmt: skip
