"""Watching the numbers of a training, and telling what happened when they went wrong.

Codes: E420 the loss is no number, E421 a weight is none, E422 a softmax loss that cannot grow any
more, E423 a loss above loss_limit, E424 a gradient above gradient_limit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from protonet.blob import Blob
from protonet.layers.softmax import SoftmaxWithLoss
from protonet.prototxt.diagnostics import Diagnostic, Error, Span

from .snapshots import last_sound

if TYPE_CHECKING:
    from protonet.net import Net

    from .solver import Solver

__all__ = ["LossWatch", "judge_gradient", "judge_update"]

_LARGE_INPUT = 20.0  # raw pixels reach 255; what is scaled or centred stays far below
_LARGEST_SOFTMAX_LOSS = 87.33  # for one label; 87.3365 but for rounding
_PATIENCE = 100  # passes: a few may be so at the beginning
_TAKES_LOGARITHM = frozenset(
    {"Log", "Power", "MultinomialLogisticLoss", "InfogainLoss", "SoftmaxWithLoss"}
)


class LossWatch:
    """Looks at the loss of each pass of a solver, right after the forward pass."""

    def __init__(self, solver: Solver) -> None:
        self._solver = solver
        self._saturated = 0  # passes in a row

    def judge(self, loss: float) -> None:
        """Raises Error E420, E422 or E423 where the loss says that training has gone wrong."""
        solver = self._solver
        front = f"iteration {solver.iter}: the loss is"
        if not math.isfinite(loss):
            what = "not a number" if math.isnan(loss) else "infinite"
            raise Error(_explained(solver, "E420", f"{front} {what}", False))
        if 0 < solver.param.loss_limit < loss:
            what = f"{loss:g}, above loss_limit ({solver.param.loss_limit:g})"
            raise Error(_explained(solver, "E423", f"{front} {what}", False))
        saturated = _saturated_loss(solver.net) if loss > 0 else None
        self._saturated = self._saturated + 1 if saturated is not None else 0
        if saturated is not None and self._saturated >= _PATIENCE:
            index, value = saturated
            what = (
                f"stuck at {value:g}: every label's probability has been 0 for {_PATIENCE} passes"
            )
            raise Error(_explained(solver, "E422", f"{front} {what}", False, index))


def judge_gradient(solver: Solver, norm: float) -> None:
    """Raises Error E424 where the gradient's norm passes the solver's limit; call it before the
    update, so that the weights are still those of the iteration before."""
    limit = solver.param.gradient_limit
    if limit > 0 and not norm <= limit:
        message = f"the gradient's norm is {norm:g}, above gradient_limit ({limit:g})"
        raise Error(_explained(solver, "E424", f"iteration {solver.iter}: {message}", True))


def judge_update(solver: Solver, is_finite: bool) -> None:
    """Raises Error E421 if the update has left weights that are not finite; call it right after
    the update."""
    if not is_finite:
        found = _first_broken_weight(solver.net)
        what = found[1] if found else "a parameter"
        message = f"iteration {solver.iter}: {what} is infinite or not a number after the update"
        raise Error(_explained(solver, "E421", message, True))


def _saturated_loss(net: Net) -> tuple[int, float] | None:
    """Finds a softmax loss to which each label gives all that one can: 87.3365 = −log(FLT_MIN),
    where its probability is 0 as far as floats can tell."""
    for index, (layer, node) in enumerate(zip(net.layers, net.graph.nodes, strict=True)):
        if not isinstance(layer, SoftmaxWithLoss) or layer.class_weights:
            continue
        top, label = (net.graph.blob_names[i] for i in (node.tops[0], node.bottoms[1]))
        value = float(net.blobs[top].data)
        total = value * float(layer.normalizer[0])
        if total < _LARGEST_SOFTMAX_LOSS:
            continue
        labels = net.blobs[label].data
        ignored = layer.normalization.ignore_label
        count = labels.size if ignored is None else int((labels != ignored).sum())
        if count and total >= count * _LARGEST_SOFTMAX_LOSS:
            return index, value
    return None


def _explained(
    solver: Solver, code: str, message: str, looks_at_weights: bool, layer: int | None = None
) -> Diagnostic:
    """Explains what was found: at this layer, or else at the first whose numbers are broken."""
    net = solver.net
    found = _first_broken_top(net)
    if looks_at_weights:
        found = found or _first_broken_gradient(net) or _first_broken_weight(net)
    notes: list[str] = []
    spans: tuple[Span, ...] = ()
    if found is not None:
        index, what = found
        notes.append(f"{what} is the first that is not finite: {net.graph.nodes[index].title}")
        spans = net.graph.places(net.graph.nodes[index].path)
    elif layer is not None:
        notes.append(net.graph.nodes[layer].title)
        spans = net.graph.places(net.graph.nodes[layer].path)
    notes.append(last_sound(solver.last_snapshot))
    return Diagnostic(code, message, spans, "", tuple(notes), _likely_cause(solver, found))


def _first_broken_top(net: Net) -> tuple[int, str] | None:
    for index, node in enumerate(net.graph.nodes):
        for top in node.tops:
            name = net.graph.blob_names[top]
            if name in net.blobs and not _is_finite(net.blobs[name].data):
                return index, f'top "{name}"'
    return None


def _first_broken_gradient(net: Net) -> tuple[int, str] | None:
    """Goes the way of the backward pass: from the loss down."""
    for index in reversed(range(len(net.layers))):
        layer = net.layers[index]
        for position, name in enumerate(net.graph.nodes[index].param.bottom):
            if layer.propagate_down[position] and not _is_finite(net.blobs[name].diff):
                return index, f'the gradient of bottom "{name}"'
    return None


def _first_broken_weight(net: Net) -> tuple[int, str] | None:
    for index, layer in enumerate(net.layers):
        for number, blob in enumerate(layer.blobs):
            if not _is_finite(blob.data):
                return index, f'parameter {number} of layer "{layer.name}"'
    return None


def _likely_cause(solver: Solver, found: tuple[int, str] | None) -> str:
    net = solver.net
    if found is not None:
        layer = net.layers[found[0]]
        if not layer.bottom_count:
            return f'the data itself is at fault: look at what layer "{layer.name}" reads'
        bottoms = [net.blobs[name] for name in net.graph.nodes[found[0]].param.bottom]
        if layer.type in _TAKES_LOGARITHM and all(_is_finite(blob.data) for blob in bottoms):
            return f"{layer.type} got a value that it has no result for, such as the log of zero"
    largest = max((_largest(blob) for blob in _images(net)), default=0.0)
    if largest > _LARGE_INPUT and solver.iter < 1000:
        return (
            f"the inputs reach {largest:.4g}: scale them (transform_param {{ scale: 0.00390625 }}) "
            "or subtract their mean; or lower base_lr"
        )
    rate = solver.rate_used or solver.param.base_lr
    return (
        f"the learning rate ({rate:g}) is probably too high: lower base_lr, "
        "or limit the gradient with clip_gradients"
    )


def _images(net: Net) -> list[Blob]:
    """Returns what data layers and inputs make, labels excepted."""
    return [
        net.blobs[top]
        for layer in net.layers
        if not layer.bottom_count
        for top in layer.param.top
        if len(net.blobs[top].shape) > 2
    ]


def _largest(blob: Blob) -> float:
    return float(np.abs(blob.data).max()) if blob.count else 0.0


def _is_finite(array: np.ndarray) -> bool:
    return bool(np.isfinite(array).all())
