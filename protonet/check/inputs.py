"""A net's graph for looking at it, with the size of its first input chosen by the user."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from protonet.ir.document import read_document
from protonet.ir.protonet_pb2 import NetState, Phase, SolverParameter
from protonet.ir.rules import layer_is_in, net_state
from protonet.layers.base import Shape
from protonet.prototxt.diagnostics import Diagnostic, Error

from .graph import Graph, Node, build_graph

__all__ = ["summary_graph"]

_SPATIAL_RANK = 3


def summary_graph(
    path: str | os.PathLike[str],
    phase: str | None = None,
    level: int = 0,
    stages: Sequence[str] = (),
    sizes: Sequence[int] | None = None,
) -> Graph:
    """Reads a net and infers its shapes, without Caffe's splits.

    `phase` is "TRAIN" or "TEST"; None takes TEST, or TRAIN if nothing makes data in TEST. `sizes`
    replaces the last axes of the net's first input. Raises Error if the net is wrong.
    """
    document = read_document(path)
    if isinstance(document.message, SolverParameter):
        net = document.message.net or document.message.train_net
        raise Error(
            Diagnostic(
                "E463", "this is a solver: a summary is of a net", (document.source.start,),
                help=f"protonet summary {net}" if net else "",
            )
        )  # fmt: skip
    states = [
        net_state(document.message, Phase.Value(name), level, stages)
        for name in ([phase] if phase else ["TEST", "TRAIN"])
    ]
    state = next((s for s in states if _has_source(document.message, s)), states[0])

    def build(known: dict[str, Shape]) -> Graph:
        graph = build_graph(
            document.message, document.source, state, known, lenient=True, splits=False
        )
        if graph.failed:
            raise Error(*graph.diagnostics)
        return graph

    if not sizes:
        return build({})
    # Found without judging: the size in the file may be the one that does not fit.
    found = build_graph(document.message, document.source, state, lenient=True, splits=False)
    return build(_chosen(found, tuple(sizes)))


def _has_source(net: Any, state: NetState) -> bool:
    return any(not layer.bottom and layer_is_in(layer, state) for layer in net.layer)


def _chosen(graph: Graph, sizes: Shape) -> dict[str, Shape]:
    """Returns the shape of the first input that may be an image, and of the label beside it."""
    for node in graph.nodes:
        if node.bottoms or node.layer is None or not node.tops:
            continue
        shape = node.top_shapes[0]
        if shape is not None and len(shape) < _SPATIAL_RANK and len(shape) != len(sizes):
            continue
        name = node.param.top[0]
        chosen = _resized(node, name, shape, sizes)
        known = {name: chosen}
        for other, label in zip(node.param.top[1:], node.top_shapes[1:], strict=False):
            if label is None:
                known[other] = chosen[:1]
            elif label and node.layer.is_data:
                known[other] = (chosen[0], *label[1:])
        return known
    raise Error("the net has no input that --input could be for")


def _resized(node: Node, name: str, shape: Shape | None, sizes: Shape) -> Shape:
    if shape is not None and len(sizes) <= len(shape):
        return (*shape[: len(shape) - len(sizes)], *sizes)
    if shape is None and len(sizes) == _SPATIAL_RANK:
        batch: int = max(node.param.data_param.batch_size, 1)
        return (batch, *sizes)
    if len(sizes) > _SPATIAL_RANK:
        return sizes
    raise Error(f'the shape of "{name}" is not known: give --input C H W or N C H W')
