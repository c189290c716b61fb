"""Older usages in the current format: inputs outside of layers, BatchNorm's parameters.

Codes: E123 numbers of shapes and inputs differ, W121 an input without a shape, W122 shapes left
over, I104 inputs were upgraded, I106 BatchNorm's parameters were.
"""

from __future__ import annotations

from protonet.prototxt.source import Path

from .protonet_pb2 import LayerParameter, NetParameter
from .trail import Trail

__all__ = ["upgrade_batch_norm", "upgrade_inputs"]

_AXES = 4


def upgrade_inputs(net: NetParameter, trail: Trail) -> None:
    """Make an Input layer, the first of the net, of input and input_shape or input_dim."""
    if not net.input_shape and not net.input_dim:
        trail.say(
            "W121",
            f'input "{net.input[0]}" has no shape and is left out, as in Caffe',
            ("input", 0),
            help='give it an input_shape, or make it a layer of type "Input"',
        )
    else:
        form, each = ("input_shape", 1) if net.input_shape else ("input_dim", _AXES)
        given, needed = len(getattr(net, form)), each * len(net.input)
        inputs = _counted(len(net.input), "input")
        if given < needed:
            message = f"{inputs} must have {needed} {form}, not {given}"
            trail.say("E123", message, (form, given - 1), also=(("input", 0),))
            return
        if given > needed:
            trail.say("W122", f"this {form} belongs to no input and is left out", (form, needed))
        trail.say("I104", f"{inputs} upgraded to an Input layer", ("input", 0))
        _insert_input_layer(net, form, trail)
    for field in ("input", "input_shape", "input_dim"):
        net.ClearField(field)


def _insert_input_layer(net: NetParameter, form: str, trail: Trail) -> None:
    layer = LayerParameter(name="input", type="Input", top=net.input)
    moves: dict[Path, Path] = {("layer", i + 1): ("layer", i) for i in range(len(net.layer))}
    moves["layer", 0] = ("input", 0)
    for index in range(len(net.input)):
        moves["layer", 0, "top", index] = ("input", index)
        shape: Path = ("layer", 0, "input_param", "shape", index)
        if form == "input_shape":
            layer.input_param.shape.append(net.input_shape[index])
            moves[shape] = ("input_shape", index)
            continue
        first = _AXES * index
        layer.input_param.shape.add(dim=net.input_dim[first : first + _AXES])
        moves[shape] = ("input_dim", first)
        for axis in range(_AXES):
            moves[(*shape, "dim", axis)] = ("input_dim", first + axis)
    trail.moved(moves)
    layers = [layer, *net.layer]
    del net.layer[:]
    net.layer.extend(layers)


def upgrade_batch_norm(net: NetParameter, trail: Trail) -> None:
    """Take BatchNorm's three blobs out of learning: they are statistics, not weights.

    Only where all three have a `param`; other numbers are for check to judge.
    """
    learning: list[Path] = []
    for index, layer in enumerate(net.layer):
        if layer.type == "BatchNorm" and len(layer.param) == 3:
            learning += [
                ("layer", index, "param", i, "lr_mult")
                for i, param in enumerate(layer.param)
                if param.lr_mult != 0
            ][:1]
            for param in layer.param:
                param.lr_mult = 0
                param.decay_mult = 0
    if learning:
        layers = _counted(len(learning), "BatchNorm layer")
        trail.say("I106", f"{layers}: lr_mult of the statistics set to 0", learning[0])


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
