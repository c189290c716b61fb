"""V0's padding layers: each becomes the pad of the convolution or pooling that follows it.

Code: E122 a padding layer that cannot be folded so.
"""

from __future__ import annotations

from protonet.prototxt.source import Path

from .protonet_pb2 import NetParameter
from .trail import Trail

__all__ = ["fold_padding"]

_PADDING = "padding"
_PADDED = ("conv", "pool")


def fold_padding(net: NetParameter, trail: Trail) -> NetParameter:
    """Give a V0 net without its padding layers; the net itself if it has none."""
    paddings = {i for i, layer in enumerate(net.layers) if layer.layer.type == _PADDING}
    if not paddings:
        return net
    folded = NetParameter()
    folded.CopyFrom(net)
    del folded.layers[:]
    moves: dict[Path, Path] = {}
    maker: dict[str, int] = {}
    for index, layer in enumerate(net.layers):
        path: Path = ("layers", len(folded.layers))
        before = [maker.get(bottom) for bottom in layer.bottom]
        maker.update(dict.fromkeys(layer.top, index))
        padded_by = [i for i in before if i in paddings]
        if padded_by and not _can_fold(net, index, padded_by[0], trail):
            continue
        if index in paddings:
            continue
        moves[path] = ("layers", index)
        new = folded.layers.add()
        new.CopyFrom(layer)
        for padding in padded_by:
            new.layer.pad = net.layers[padding].layer.pad
            new.bottom[0] = net.layers[padding].bottom[0]
            moves[(*path, "layer", "pad")] = ("layers", padding, "layer", "pad")
            moves[(*path, "bottom", 0)] = ("layers", padding, "bottom", 0)
    trail.moved(moves)
    return folded


def _can_fold(net: NetParameter, index: int, padding: int, trail: Trail) -> bool:
    """Whether the layer can take over the padding that it reads; an error if not."""
    layer, pad = net.layers[index], net.layers[padding]
    if layer.layer.type not in _PADDED:
        reason = f'layer "{layer.layer.name}" of type "{layer.layer.type}" cannot be padded'
    elif len(layer.bottom) != 1 or len(pad.bottom) != 1:
        reason = f'"{pad.layer.name}" and "{layer.layer.name}" must have one bottom each'
    else:
        return True
    message = f'padding layer "{pad.layer.name}" cannot become the pad of what follows: {reason}'
    trail.say("E122", message, ("layers", padding), also=(("layers", index),))
    return False
