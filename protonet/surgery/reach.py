"""Which part of the image each place of a map looks at."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from protonet.check.graph import Graph, Node

from .maps import LOCAL, is_global

__all__ = ["Reach", "reach_of"]

_PLANE = 2


@dataclass(frozen=True)
class Reach:
    """Place o of a map sees rows (and columns) o·stride + low … o·stride + high − 1 of the image.

    `low` is negative where padding reaches out of the image. `elsewhere` names a layer that looks
    beyond any window, "" if there is none.
    """

    stride: tuple[Fraction, ...] = (Fraction(1),) * _PLANE
    low: tuple[Fraction, ...] = (Fraction(0),) * _PLANE
    high: tuple[Fraction, ...] = (Fraction(1),) * _PLANE
    elsewhere: str = ""


def reach_of(graph: Graph, blob: str) -> Reach | None:
    """Returns the reach of a blob of a graph that was built without splits; None if it is no map
    over an input, or if its bottoms have different strides."""
    reaches: dict[int, Reach | None] = {}
    for node in graph.nodes:
        found = _through(node, [reaches.get(bottom) for bottom in node.bottoms])
        for top, shape in zip(node.tops, node.top_shapes, strict=True):
            reaches[top] = found if shape is not None and len(shape) == _PLANE + 2 else None
    names = graph.blob_names
    return reaches.get(len(names) - 1 - names[::-1].index(blob)) if blob in names else None


def _through(node: Node, bottoms: list[Reach | None]) -> Reach | None:
    if not node.bottoms:
        return Reach()
    known = [reach for reach in bottoms if reach is not None]
    if not known or any(reach.stride != known[0].stride for reach in known):
        return None
    axes = range(_PLANE)
    low = tuple(min(reach.low[axis] for reach in known) for axis in axes)
    high = tuple(max(reach.high[axis] for reach in known) for axis in axes)
    stride = known[0].stride
    elsewhere = next((reach.elsewhere for reach in known if reach.elsewhere), "")
    if node.param.type not in LOCAL or is_global(node) or len(known) < len(bottoms):
        elsewhere = elsewhere or node.param.name
    window = node.layer.window(_PLANE + 2) if node.layer is not None else None
    if window is None:
        return Reach(stride, low, high, elsewhere)
    extent, step, pad = window
    if len(extent) != _PLANE:
        return None
    return Reach(
        tuple(stride[axis] * step[axis] for axis in axes),
        tuple(low[axis] - pad[axis] * stride[axis] for axis in axes),
        tuple(high[axis] + (extent[axis] - 1 - pad[axis]) * stride[axis] for axis in axes),
        elsewhere,
    )
