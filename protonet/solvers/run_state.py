"""Where a net's layers are in their data and random numbers, as a message and back.

A net that is given back the state it had makes the same passes as then, bit for bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from protonet.check.graph import layer_diagnostic
from protonet.ir.protonet_pb2 import LayerRunState, NetRunState
from protonet.layers.base import Layer, LayerError
from protonet.prototxt.diagnostics import Error

if TYPE_CHECKING:
    from protonet.net import Net

__all__ = ["net_state", "restore_net"]

_WORD, _GENERATOR_BYTES = 16, 37


def net_state(net: Net) -> NetRunState:
    """Returns the state of all layers between two passes."""
    return NetRunState(layer=[_layer_state(layer) for layer in net.layers])


def restore_net(net: Net, state: NetRunState) -> None:
    """Puts each layer that the state knows by name back where it was."""
    known = {layer.name: layer for layer in reversed(state.layer)}
    for index, layer in enumerate(net.layers):
        found = known.get(layer.name)
        if found is None:
            continue
        values = {v.name: v.data if v.HasField("data") else v.integer for v in found.value}
        try:
            layer.restore(values)
        except LayerError as error:
            raise Error(layer_diagnostic(net.graph, net.graph.nodes[index], error)) from None
        if len(found.random) == _GENERATOR_BYTES:  # last: a layer may draw while it is restored
            layer.random.bit_generator.state = _generator_state(found.random)


def _layer_state(layer: Layer) -> LayerRunState:
    values = layer.state()  # first: a layer may draw what it has not drawn yet
    state = LayerRunState(name=layer.name, random=_generator_bytes(layer.random))
    for name, value in values.items():
        if isinstance(value, bytes):
            state.value.add(name=name, data=value)
        else:
            state.value.add(name=name, integer=value)
    return state


def _generator_bytes(random: np.random.Generator) -> bytes:
    """Gives a PCG64's state and increment (16 bytes each) and its spare half word (1 + 4)."""
    whole: Any = random.bit_generator.state
    return b"".join(
        (
            whole["state"]["state"].to_bytes(_WORD, "little"),
            whole["state"]["inc"].to_bytes(_WORD, "little"),
            whole["has_uint32"].to_bytes(1, "little"),
            whole["uinteger"].to_bytes(4, "little"),
        )
    )


def _generator_state(data: bytes) -> dict[str, Any]:
    def number(start: int, size: int) -> int:
        return int.from_bytes(data[start : start + size], "little")

    return {
        "bit_generator": "PCG64",
        "state": {"state": number(0, _WORD), "inc": number(_WORD, _WORD)},
        "has_uint32": number(2 * _WORD, 1),
        "uinteger": number(2 * _WORD + 1, 4),
    }
