"""The values of a net's outputs, as solvers and tests report them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from protonet.net import Net

__all__ = ["Output", "OutputMeans", "images_per_pass", "outputs_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """An output blob: its name, all its values in a row (float64), its weight in the loss."""

    name: str
    values: npt.NDArray[Any]
    loss_weight: float = 0.0


def outputs_of(net: Net, made: Mapping[str, npt.NDArray[Any]] | None = None) -> list[Output]:
    """Returns all output blobs in the order of their names, as `made` (by a plan of the net) has
    them, or as they are now."""
    weights = net.blob_loss_weights
    arrays = made if made is not None else {name: net.blobs[name].data for name in net.outputs}
    return [
        Output(name, arrays[name].ravel().astype(np.float64), weights.get(name, 0.0))
        for name in net.outputs
    ]


class OutputMeans:
    """The mean of each element of a net's outputs over passes.

    A pass may give an output fewer elements or more than the one before: each element's mean is
    over the passes that had it.
    """

    def __init__(self) -> None:
        self._sums: dict[str, npt.NDArray[Any]] = {}
        self._counts: dict[str, npt.NDArray[Any]] = {}
        self._weights: dict[str, float] = {}

    def add(self, outputs: list[Output]) -> None:
        for output in outputs:
            size = len(output.values)
            sums = self._sums.get(output.name, np.zeros(0))
            if len(sums) < size:
                missing = (0, size - len(sums))
                counts = self._counts.get(output.name, np.zeros(0))
                self._sums[output.name] = sums = np.pad(sums, missing)
                self._counts[output.name] = np.pad(counts, missing)
            sums[:size] += output.values
            self._counts[output.name][:size] += 1
            self._weights[output.name] = output.loss_weight

    def means(self) -> list[Output]:
        return [
            Output(name, sums / self._counts[name], self._weights[name])
            for name, sums in self._sums.items()
        ]


def images_per_pass(net: Net) -> int:
    """Returns the batch size: the first axis of what the net's inputs and data layers make."""
    sizes = [
        net.blobs[top].shape[0]
        for layer in net.layers
        if not layer.bottom_count
        for top in layer.param.top
        if net.blobs[top].shape
    ]
    return max(sizes, default=0)
