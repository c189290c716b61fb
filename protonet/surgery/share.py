"""Layers that have their weights in common."""

from __future__ import annotations

import math
from collections.abc import Sequence

from protonet.ir.protonet_pb2 import ParamSpec
from protonet.layers.base import Shape, shape_text

from .trained_net import TrainedNet

__all__ = ["share"]


def share(trained: TrainedNet, names: Sequence[str]) -> TrainedNet:
    """Returns the net whose layers of these names use the weights of the first of them.

    Raises Error if their weights have different shapes.
    """
    found = trained.copy()
    indices = [trained.index(name) for name in names]
    wanted: dict[int, list[Shape]] = {}
    for view in trained.views():
        for node, index in zip(view.graph.nodes, view.indices, strict=True):
            wanted.setdefault(index, [p.shape for p in node.parameters or ()])
    first = indices[0]
    owner = found.net.layer[first]
    if not wanted.get(first):
        raise trained.refusal(first, "it has no weights that others could use")
    for index in indices[1:]:
        if len(wanted.get(index, ())) != len(wanted[first]):
            raise trained.refusal(
                index, f'it has {len(wanted.get(index, ()))} blobs, "{owner.name}" has '
                f"{len(wanted[first])}",
            )  # fmt: skip
    for number, shape in enumerate(wanted[first]):
        while len(owner.param) <= number:
            owner.param.add()
        spec = owner.param[number]
        spec.name = spec.name or f"{owner.name}_{number}"
        for index in indices[1:]:
            layer, other = found.net.layer[index], wanted[index][number]
            if math.prod(other) != math.prod(shape):
                raise trained.refusal(
                    index, f"its blob {number} is {shape_text(other)}, that of "
                    f'"{owner.name}" {shape_text(shape)}',
                )  # fmt: skip
            while len(layer.param) <= number:
                layer.param.add()
            mine = layer.param[number]
            mine.name = spec.name
            mine.ClearField("lr_mult")  # the owner's count for all
            mine.ClearField("decay_mult")
            if other != shape:
                mine.share_mode = ParamSpec.PERMISSIVE
    for index in indices[1:]:
        name = found.net.layer[index].name
        found.changes.append(f'layer "{name}" uses the weights of "{owner.name}"')
        if owner.name in found.blobs:
            found.blobs[name] = [
                array.reshape(shape)
                for array, shape in zip(found.blobs[owner.name], wanted[index], strict=True)
            ]
    found.views()
    return found
