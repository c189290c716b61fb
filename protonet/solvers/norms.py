"""The sizes of a net's parameters and of their gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .solver import Solver

__all__ = ["Parameter", "joint_norm", "norm", "parameters"]

Array = npt.NDArray[Any]


class Parameter(NamedTuple):
    """A learnable parameter, named <layer>/<number> after its first use, as it is between the
    passes of an iteration and the update; `gradient` times `scale` is the mean over iter_size."""

    name: str
    weight: Array
    gradient: Array
    scale: float


def parameters(solver: Solver) -> Iterator[Parameter]:
    """Gives all learnable parameters of the training net."""
    net = solver.net
    for learnable, blob in zip(net.graph.learnable, net.learnable_params, strict=True):
        index, number = learnable.uses[0]
        name = f"{net.layers[index].name}/{number}"
        yield Parameter(name, blob.data, blob.diff, 1.0 / solver.param.iter_size)


def norm(array: Array) -> float:
    """Returns the L2 norm of all elements."""
    return float(np.linalg.norm(array.ravel()))


def joint_norm(norms: list[float]) -> float:
    """Returns the L2 norm of what has these norms when it is taken as one vector."""
    return math.hypot(*norms)
