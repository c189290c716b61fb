"""Telling what happened when a number in training is no number any more.

Codes: E420 the loss, E421 a weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from protonet.blob import Blob
from protonet.prototxt.diagnostics import Diagnostic, Span

if TYPE_CHECKING:
    from protonet.net import Net

    from .solver import Solver

__all__ = ["broken_loss", "broken_weights"]

_LARGE_INPUT = 20.0  # raw pixels reach 255; what is scaled or centred stays far below
_TAKES_LOGARITHM = frozenset(
    {"Log", "Power", "MultinomialLogisticLoss", "InfogainLoss", "SoftmaxWithLoss"}
)


def broken_loss(solver: Solver, loss: float) -> Diagnostic:
    """Explains a loss that is infinite or no number; call it right after the forward pass."""
    what = "not a number" if np.isnan(loss) else "infinite"
    return _explained(solver, "E420", f"iteration {solver.iter}: the loss is {what}", False)


def broken_weights(solver: Solver) -> Diagnostic:
    """Explains weights that are not finite; call it right after the update that found them so."""
    found = _first_broken_weight(solver.net)
    what = found[1] if found else "a parameter"
    message = f"iteration {solver.iter}: {what} is infinite or not a number after the update"
    return _explained(solver, "E421", message, True)


def _explained(solver: Solver, code: str, message: str, looks_at_weights: bool) -> Diagnostic:
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
    if solver.last_snapshot is not None:
        notes.append(f"the last snapshot is {solver.last_snapshot.state}")
    else:
        notes.append("there is no snapshot yet")
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
