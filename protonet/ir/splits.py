"""Split layers: a top with several consumers becomes one blob for each, as in Caffe."""

from __future__ import annotations

from protonet.ir.protonet_pb2 import LayerParameter, NetParameter
from protonet.prototxt.source import Path, SourceMap

__all__ = ["insert_splits", "split_blob_name", "split_layer_name"]


def split_layer_name(layer: str, blob: str, top: int) -> str:
    """Returns Caffe's name for the layer that splits top number `top` of `layer`."""
    return f"{blob}_{layer}_{top}_split"


def split_blob_name(layer: str, blob: str, top: int, copy: int) -> str:
    return f"{split_layer_name(layer, blob, top)}_{copy}"


def insert_splits(net: NetParameter, source: SourceMap) -> tuple[NetParameter, SourceMap]:
    """Puts a Split layer behind every top that several bottoms consume.

    A loss weight on the top counts as one more consumer, the first. An unknown bottom is left
    as it is. Inserted layers' fields are found at the layer that makes the blob.
    """
    consumers: dict[tuple[int, int], int] = {}
    maker_of_bottom: dict[tuple[int, int], tuple[int, int]] = {}
    maker: dict[str, tuple[int, int]] = {}
    for index, layer in enumerate(net.layer):
        for position, bottom in enumerate(layer.bottom):
            if bottom in maker:
                maker_of_bottom[index, position] = maker[bottom]
                consumers[maker[bottom]] = consumers.get(maker[bottom], 0) + 1
        for position, top in enumerate(layer.top):
            maker[top] = (index, position)
            if position < len(layer.loss_weight) and layer.loss_weight[position]:
                consumers[index, position] = 1
    result = NetParameter()
    result.CopyFrom(net)
    del result.layer[:]
    moves: dict[Path, Path] = {}
    used: dict[tuple[int, int], int] = {}
    for index, layer in enumerate(net.layer):
        moves["layer", len(result.layer)] = ("layer", index)
        copy = result.layer.add()
        copy.CopyFrom(layer)
        for position, bottom in enumerate(layer.bottom):
            made = maker_of_bottom.get((index, position))
            if made is None or consumers[made] < 2:
                continue
            number = used.get(made, _claimed(net.layer[made[0]], made[1]))
            used[made] = number + 1
            copy.bottom[position] = split_blob_name(
                net.layer[made[0]].name, bottom, made[1], number
            )
        for position, top in enumerate(layer.top):
            if consumers.get((index, position), 0) > 1:
                moves["layer", len(result.layer)] = ("layer", index)
                weight = layer.loss_weight[position] if _claimed(layer, position) else 0.0
                _add_split(result, layer, position, top, consumers[index, position], weight)
                if weight:
                    copy.loss_weight[position] = 0.0
    return result, source.remapped(moves)


def _claimed(layer: LayerParameter, top: int) -> int:
    """Returns how many of the top's copies its own loss weight takes: 0 or 1."""
    return int(top < len(layer.loss_weight) and layer.loss_weight[top] != 0)


def _add_split(
    net: NetParameter, layer: LayerParameter, position: int, top: str, copies: int, weight: float
) -> None:
    split = net.layer.add(
        name=split_layer_name(layer.name, top, position),
        type="Split",
        bottom=[top],
        top=[split_blob_name(layer.name, top, position, copy) for copy in range(copies)],
    )
    if weight:
        split.loss_weight.extend([weight] + [0.0] * (copies - 1))
