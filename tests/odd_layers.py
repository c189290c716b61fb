"""Layers with settings, shapes and values that nobody means: what a fuzz test tries.

An odd layer is an example (layer_examples.py) in which some settings, some bottoms' shapes and
some values were replaced, as `draw` says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from layer_examples import Example

import protonet
from protonet.ir.document import Document
from protonet.ir.protonet_pb2 import LayerParameter, NetParameter
from protonet.layers.explanation import explain

__all__ = ["Draw", "odd_layer", "refusals"]

T = TypeVar("T")
Draw = Callable[[Sequence[T]], T]  # chooses one of several

NUMBERS = {
    "unsigned": [0, 1, 2, 3, 5, 17, 2**32 - 1],  # nothing that is large and yet possible
    "signed": [0, 1, 2, -1, -2, 3, 17, 2**31 - 1, -(2**31)],
    "long": [0, 1, 2, -1, 3, 17, 2**40, -(2**40)],
    "float": [0.0, 1.0, -1.0, 0.5, 1e-30, 1e30, -1e30, math.inf, -math.inf, math.nan],
}
STRINGS = ["", "x", "../nothing/here", "constant", "gaussian", "bilinear"]
SIZES = [0, 1, 2, 3, 5]
VALUES = [0.0, -1.0, 1.0, 0.5, 300.0, 1e30, -1e30, math.inf, math.nan]


def odd_layer(example: Example, draw: Draw[Any]) -> tuple[LayerParameter, list[np.ndarray]]:
    """Returns a changed layer and its bottoms."""
    message, _ = protonet.prototxt.parse_text(f"layer {{ {example.text} }}", NetParameter)
    layer = message.layer[0]
    explained = explain(example.type)
    groups = [group.name for group in explained.groups] if explained else []
    for _ in range(draw([0, 1, 1, 2, 3]) if groups else 0):
        _change_field(getattr(layer, draw(groups)), draw)
    bottoms = [bottom.copy() for bottom in example.bottoms]
    for _ in range(draw([0, 0, 1, 1, 2]) if bottoms else 0):
        index = draw(range(len(bottoms)))
        bottoms[index] = _reshaped(bottoms[index], draw)
    for _ in range(draw([0, 0, 1, 2]) if bottoms else 0):
        chosen = draw(bottoms)
        if chosen.size:
            chosen.reshape(-1)[draw(range(chosen.size))] = draw(VALUES)
    return layer, bottoms


def _change_field(message: Any, draw: Draw[Any], depth: int = 0) -> None:
    field = draw(message.DESCRIPTOR.fields)
    if field.message_type is not None and depth > 2:
        return
    if field.is_repeated:
        if draw([True, False]):
            message.ClearField(field.name)
        for _ in range(draw([1, 1, 2, 3])):
            if field.message_type is not None:
                _change_field(getattr(message, field.name).add(), draw, depth + 1)
            else:
                getattr(message, field.name).append(_value(field, draw))
    elif field.message_type is not None:
        getattr(message, field.name).SetInParent()
        if field.message_type.fields:
            _change_field(getattr(message, field.name), draw, depth + 1)
    elif draw([True, True, True, False]):
        setattr(message, field.name, _value(field, draw))
    else:
        message.ClearField(field.name)


def _value(field: Any, draw: Draw[Any]) -> Any:
    if field.enum_type is not None:
        return draw(sorted(field.enum_type.values_by_number))
    if field.type == field.TYPE_BOOL:
        return draw([True, False])
    if field.type == field.TYPE_STRING:
        return draw(STRINGS)
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return draw(NUMBERS["float"])
    if field.type in (field.TYPE_UINT32, field.TYPE_UINT64):
        return draw(NUMBERS["unsigned"])
    return draw(NUMBERS["long" if field.type == field.TYPE_INT64 else "signed"])


def _reshaped(bottom: np.ndarray, draw: Draw[Any]) -> np.ndarray:
    """Returns the values, over and over, in a shape that differs in an axis."""
    shape = list(bottom.shape)
    change = draw(["size", "size", "fewer", "more", "scalar"])
    if change == "size" and shape:
        shape[draw(range(len(shape)))] = draw(SIZES)
    elif change == "fewer" and shape:
        del shape[draw(range(len(shape)))]
    elif change == "more":
        shape.insert(draw(range(len(shape) + 1)), draw(SIZES))
    elif change == "scalar":
        shape = []
    return np.resize(bottom, shape) if bottom.size else np.zeros(shape)


def refusals(
    layer: LayerParameter, bottoms: list[np.ndarray], phase: int
) -> tuple[protonet.Diagnostic, ...]:
    """Returns why a net of that layer cannot be made or run; nothing if it was run twice, forward
    and backward. check, too, must come to an end."""
    net = _net_of(layer, bottoms)
    protonet.check(net)
    try:
        _run(net, bottoms, phase)
    except protonet.Error as error:
        return error.diagnostics
    return ()


def _net_of(layer: LayerParameter, bottoms: list[np.ndarray]) -> NetParameter:
    net = NetParameter(force_backward=True)
    for name, bottom in zip(layer.bottom, bottoms, strict=True):
        made = net.layer.add(name=name, type="Input", top=[name])
        made.input_param.shape.add(dim=bottom.shape)
    net.layer.add().CopyFrom(layer)
    net.layer[-1].name = "layer"
    return net


def _run(net: NetParameter, bottoms: list[np.ndarray], phase: int) -> None:
    text = protonet.format_text(net)
    message, source = protonet.prototxt.parse_text(text, NetParameter, "net.prototxt")
    made_net = protonet.Net(Document(message, source, []), phase, dtype=np.float64, seed=1)
    for name, bottom in zip(net.layer[-1].bottom, bottoms, strict=True):
        made_net.blobs[name].data[...] = bottom
    for _ in range(2):
        made_net.forward()
        for name in made_net.outputs:
            made_net.blobs[name].diff[...] = 1
        made_net.backward()
