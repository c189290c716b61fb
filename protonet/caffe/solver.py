"""The solvers: pycaffe's classes over protonet's Solver."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from protonet.ir.document import Document, read_solver_document
from protonet.ir.protonet_pb2 import SolverParameter
from protonet.solvers import Solver as Computing
from protonet.solvers.events import GradientsReady, IterationDone, IterationStarted
from protonet.solvers.text_log import TextLog

from .errors import caffe_errors
from .glog import write_line
from .nccl import NCCL
from .net import Net, net_seen
from .processors import solver_rank
from .random_seed import next_seed, set_random_seed

__all__ = [
    "AdaDeltaSolver", "AdaGradSolver", "AdamSolver", "NesterovSolver", "RMSPropSolver",
    "SGDSolver", "Solver", "get_solver",
]  # fmt: skip

FilePath = str | os.PathLike[str]


class Solver:
    """Trains the net of a solver file; each class has its own rule, whatever the file's `type` is.

    What Caffe logs goes to stderr, in its words.
    """

    rule: ClassVar[str] = "SGD"

    def __init__(self, solver_file: FilePath) -> None:
        with caffe_errors():
            document = read_solver_document(solver_file)
            document.message.type = self.rule
            self._adopt(document)

    def _adopt(self, document: Document[SolverParameter]) -> None:
        if document.message.random_seed >= 0:
            set_random_seed(document.message.random_seed)
        self._solver = Computing(document, seed=next_seed())
        # Like Caffe, a script that goes on with numbers that are none is let go on.
        self._solver.watch_numbers = False
        if solver_rank() == 0:
            self._solver.listeners.add_for_all(TextLog(write_line))
        else:  # of several solvers one tests, and writes log and snapshots
            param = self._solver.param
            param.snapshot, param.snapshot_after_train, param.test_interval = 0, False, 0
        self._solver.listeners.add_for_all(_LossWarning())
        self._net = net_seen(self._solver.net)
        self._test_nets = [net_seen(net) for net in self._solver.test_nets]

    @property
    def net(self) -> Net:
        """The net in training."""
        return self._net

    @property
    def test_nets(self) -> list[Net]:
        """The nets of the tests, which share the parameters of `net`."""
        return self._test_nets

    @property
    def param(self) -> SolverParameter:
        return self._solver.param

    @property
    def iter(self) -> int:
        """The number of updates made."""
        return self._solver.iter

    @property
    def lr(self) -> float:
        """The rate of the next iteration."""
        return self._solver.lr

    def step(self, iterations: int) -> None:
        """Makes that many iterations, with tests, display and snapshots where they are due."""
        with self._nets_settled():
            self._solver.step(int(iterations))

    def solve(self, resume_file: FilePath | None = None) -> None:
        """Trains up to max_iter, from the beginning or from a .solverstate."""
        with self._nets_settled():
            self._solver.solve(resume_file or None)

    @contextmanager
    def _nets_settled(self) -> Iterator[None]:
        """Lets a run begin with the shapes that a script has given to blobs."""
        nets = (self.net, *self.test_nets)
        for net in nets:
            net._watch.settle()
        try:
            with caffe_errors():
                yield
        finally:
            for net in nets:
                net._watch.note()

    def restore(self, state_file: FilePath) -> None:
        """Goes back to a snapshot, given by its .solverstate."""
        with caffe_errors():
            self._solver.restore(state_file)

    def snapshot(self) -> None:
        """Writes weights and state as <snapshot_prefix>_iter_<iter>."""
        with caffe_errors():
            self._solver.snapshot()

    def apply_update(self) -> None:
        """Updates the parameters by the gradients that are in their `diff`."""
        with caffe_errors():
            self._solver.apply_update()

    def share_weights(self, net: Net) -> None:
        """Makes the parameters of a net's equally named layers those of this solver."""
        with caffe_errors():
            self._solver.share_weights(net._net)

    def add_callback(self, on_start: Any, on_gradients_ready: Any = None) -> None:
        """Calls `on_start()` before each iteration's passes, `on_gradients_ready()` before its
        update; an empty string, as Caffe's own script has it, or an NCCL calls nothing."""
        if isinstance(on_start, NCCL):
            return
        if on_start:
            self._solver.listeners.add(IterationStarted, lambda event: self._started(on_start))
        if on_gradients_ready:
            self._solver.listeners.add(GradientsReady, lambda event: on_gradients_ready())

    def _started(self, function: Callable[[], object]) -> None:
        self.net._watch.note()
        function()
        self.net._watch.settle()


class _LossWarning:
    """Warns, once a solver, of a loss that is not a number."""

    def __init__(self) -> None:
        self._told = False

    def __call__(self, event: object) -> None:
        if self._told or not isinstance(event, IterationDone) or math.isfinite(event.loss):
            return
        self._told = True
        warnings.warn(
            f"iteration {event.iteration}: the loss is {event.loss}", RuntimeWarning, stacklevel=2
        )


class SGDSolver(Solver):
    """Stochastic gradient descent with momentum."""


class NesterovSolver(Solver):
    """Nesterov's accelerated gradient."""

    rule = "Nesterov"


class AdaGradSolver(Solver):
    """AdaGrad (Duchi et al. 2011)."""

    rule = "AdaGrad"


class RMSPropSolver(Solver):
    """RMSProp (Tieleman and Hinton 2012)."""

    rule = "RMSProp"


class AdaDeltaSolver(Solver):
    """AdaDelta (Zeiler 2012)."""

    rule = "AdaDelta"


class AdamSolver(Solver):
    """Adam (Kingma and Ba 2015)."""

    rule = "Adam"


_CLASSES: dict[str, type[Solver]] = {
    made.rule: made
    for made in (
        SGDSolver, NesterovSolver, AdaGradSolver, RMSPropSolver, AdaDeltaSolver, AdamSolver
    )
}  # fmt: skip


def get_solver(solver_file: FilePath) -> Solver:
    """Returns a solver by the file's `type`: of the class that has that rule, if Caffe knows it."""
    with caffe_errors():
        document = read_solver_document(solver_file)
        solver = Solver.__new__(_CLASSES.get(document.message.type, Solver))
        solver._adopt(document)
    return solver
