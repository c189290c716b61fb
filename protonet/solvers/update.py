"""The update of all parameters: clip, divide, decay, apply, in recorded rows of kernels.

Order, as in Caffe: the norm of the accumulated gradient of all parameters is clipped; the
gradient is divided by iter_size; the decay is added; the rule is applied with rate · lr_mult.
A solver's gradient_limit has the norm taken too.
One pass over each parameter does the last three, one pass over its gradient the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.files import place
from protonet.ir.protonet_pb2 import SolverParameter
from protonet.kernels._native import lib
from protonet.layers.base import shape_text
from protonet.prototxt.diagnostics import Diagnostic, Error

from .rules import RULES

if TYPE_CHECKING:
    from protonet.net import Net

__all__ = ["Updater"]

Array = npt.NDArray[Any]


class Updater:
    """Applies a solver's rule to a net's parameters and holds the rule's state.

    `history` is the state in Caffe's order: one array per parameter, for rules with two the
    first of all parameters before the second of all.
    """

    def __init__(self, net: Net, param: SolverParameter) -> None:
        self.net, self.param = net, param
        self.rule = RULES[param.type]
        self.history: list[Array] = [
            Blob(blob.shape, net.dtype).data
            for _ in range(self.rule.states)
            for blob in net.learnable_params
        ]
        self._step = np.zeros(lib.UPDATE_STEP_SIZE, net.dtype)
        self._broken = np.zeros(1, np.int32)
        self._scaling, self._updating = kernels.Tape(), kernels.Tape()
        self._recorded: list[Any] = []

    def run(
        self,
        rate: float,
        iteration: int,
        keep_change: bool,
        judge_norm: Callable[[float], object] | None = None,
    ) -> bool:
        """Updates all parameters; says whether all of them are still finite.

        The parameters' `diff` is the change then (what was subtracted) if `keep_change`, else
        zero. `judge_norm` is given `gradient_norm` before any weight is touched, and may raise.
        """
        self._step[lib.UPDATE_RATE] = rate
        self._step[lib.UPDATE_CORRECTION] = self.rule.correction(self.param, iteration)
        self._step[lib.UPDATE_KEEP] = keep_change
        self._broken[0] = 0
        basis = self._basis()
        is_recorded = self._is_recorded(basis)
        self._recorded = []  # until both tapes are whole
        if is_recorded:
            self._scaling.replay()
        else:
            with kernels.Tape() as self._scaling:
                self._scale_gradient()
        if judge_norm is not None:
            judge_norm(self.gradient_norm)
        if is_recorded:
            self._updating.replay()
        else:
            with kernels.Tape() as self._updating:
                self._update()
        self._recorded = basis
        return not self._broken[0]

    def judge(self, history: Sequence[Array], file: str) -> None:
        """Raises Error E412 unless these arrays can be this rule's state for this net."""
        if len(history) != len(self.history):
            raise Error(
                Diagnostic(
                    "E412",
                    f"this state holds {len(history)} arrays, but {self.param.type} with "
                    f"{len(self.net.learnable_params)} parameters has {len(self.history)}",
                    (place(file),),
                    help="resume with the solver type and the net that wrote the state",
                )
            )
        for index, (mine, stored) in enumerate(zip(self.history, history, strict=True)):
            if mine.size != stored.size:
                raise Error(
                    Diagnostic(
                        "E412",
                        f"array {index} of this state is {shape_text(stored.shape)}, but its "
                        f"parameter here is {shape_text(mine.shape)}",
                        (place(file),),
                        help="resume with the net that wrote the state",
                    )
                )

    def restore(self, history: Sequence[Array]) -> None:
        """Takes a state that `judge` has approved."""
        for mine, stored in zip(self.history, history, strict=True):
            np.copyto(mine, stored.reshape(mine.shape), casting="same_kind")

    @property
    def gradient_norm(self) -> float:
        """The L2 norm of the last accumulated gradient, before clipping; 0 unless the solver has
        clip_gradients or gradient_limit."""
        return float(self._step[lib.UPDATE_NORM])

    def _basis(self) -> list[Any]:
        """Gives all that the recorded kernels hold fast: arrays and constants."""
        param, net = self.param, self.net
        basis: list[Any] = [blob.data for blob in net.learnable_params]
        basis += [blob.diff for blob in net.learnable_params]
        basis += [
            self.rule.constants(param), param.weight_decay, param.regularization_type,
            param.clip_gradients, param.iter_size, param.gradient_limit, list(net.params_lr),
            list(net.params_weight_decay),
        ]  # fmt: skip
        return basis

    def _is_recorded(self, basis: list[Any]) -> bool:
        if len(basis) != len(self._recorded):
            return False
        return all(
            new is old if isinstance(new, np.ndarray) else new == old
            for new, old in zip(basis, self._recorded, strict=True)
        )

    def _update(self) -> None:
        count = len(self.net.learnable_params)
        constants = self.rule.constants(self.param)
        kind = "decoupled" if self.rule.decoupled else self.param.regularization_type.lower()
        for index, blob in enumerate(self.net.learnable_params):
            decay = self.param.weight_decay * self.net.params_weight_decay[index]
            kernels.call(
                self.rule.kernel,
                weight=blob.data, diff=blob.diff, n=blob.count,
                first=self.history[index],
                second=self.history[count + index] if self.rule.states > 1 else None,
                step=self._step, broken=self._broken,
                lr_mult=self.net.params_lr[index],
                **{kind: decay}, **constants,
            )  # fmt: skip

    def _scale_gradient(self) -> None:
        """Sets the factor before the gradient: the clipping's, divided by iter_size."""
        limit, share = self.param.clip_gradients, 1.0 / self.param.iter_size
        if limit < 0 and self.param.gradient_limit <= 0:
            self._step[lib.UPDATE_SCALE], self._step[lib.UPDATE_NORM] = share, 0
            return
        if limit < 0:
            limit = math.inf
        blocks = [-(-blob.count // lib.UPDATE_BLOCK) for blob in self.net.learnable_params]
        # The sums are doubles in both variants of the kernels, which float64 would choose.
        sums = np.zeros(sum(blocks), np.float64).view(np.int64)
        start = 0
        for blob, size in zip(self.net.learnable_params, blocks, strict=True):
            kernels.sum_of_squares(x=blob.diff, sums=sums[start : start + size], n=blob.count)
            start += size
        kernels.gradient_scale(sums=sums, step=self._step, n=len(sums), limit=limit, share=share)
