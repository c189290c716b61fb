"""Which phases a net is meant for: a file for training or for use alone is not faulty.

Codes: I111 a phase that is not judged.
"""

from __future__ import annotations

from collections.abc import Sequence

from protonet.ir.protonet_pb2 import TRAIN, LayerParameter, NetParameter, NetState
from protonet.ir.rules import layer_is_in
from protonet.layers.registry import layer_class
from protonet.prototxt.diagnostics import Diagnostic
from protonet.prototxt.source import SourceMap

__all__ = ["meant_phases"]

State = tuple[str, NetState]


def meant_phases(
    net: NetParameter, states: Sequence[State], source: SourceMap
) -> tuple[list[State], list[Diagnostic]]:
    """Returns the phases to judge, and a note for each that is left out.

    Left out are a phase in which nothing makes data, where there is one with; and phase TRAIN of
    a net without a loss whose layers fit together in TEST alone.
    """
    found = list(states)
    notes = []
    for label, state in states:
        others = [other for _, other in states if other is not state]
        if not _is_fed(net, state) and any(_is_fed(net, other) for other in others):
            message = f"nothing makes data in phase {label}: it is not judged"
        elif (
            state.phase == TRAIN
            and not _has_loss(net)
            and _left_out(net, state)
            and any(_left_out(net, other) == set() for other in others)
        ):
            message = f"there is no loss, and layers are missing in phase {label}: it is not judged"
        else:
            continue
        found.remove((label, state))
        notes.append(Diagnostic("I111", message, (source.start,) if source.text else ()))
    return found, notes


def _is_fed(net: NetParameter, state: NetState) -> bool:
    return any(not layer.bottom and layer_is_in(layer, state) for layer in net.layer)


def _left_out(net: NetParameter, state: NetState) -> set[str] | None:
    """Returns the blobs that are read in this phase and made in another alone; None if there are
    others that nobody makes."""
    made: set[str] = set()
    missing: set[str] = set()
    for layer in net.layer:
        if layer_is_in(layer, state):
            missing |= set(layer.bottom) - made
            made.update(layer.top)
    anywhere = {top for layer in net.layer for top in layer.top}
    return missing if missing <= anywhere else None


def _has_loss(net: NetParameter) -> bool:
    return any(map(_is_loss, net.layer))


def _is_loss(layer: LayerParameter) -> bool:
    made = layer_class(layer.type)
    return any(layer.loss_weight) or (made is not None and made.is_loss)
