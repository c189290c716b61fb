"""What each layer of a checked net costs and sees: parameters, multiply-adds, memory, field."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from protonet.layers.base import Shape

if TYPE_CHECKING:
    from .graph import Graph, Node

__all__ = ["LayerCosts", "NetCosts", "net_costs"]

FLOAT_BYTES = 4


@dataclass(frozen=True)
class _View:
    """What one position of a blob sees of the input, per spatial axis, and the step between
    neighbours (a fraction of an input position behind a Deconvolution)."""

    extent: tuple[Fraction, ...]
    step: tuple[Fraction, ...]


@dataclass
class LayerCosts:
    """One layer: None stands for what is not known.

    `parameters` are learnable numbers that this layer owns, `statistics` numbers that it gathers
    (batch-norm), `shared` those that belong to a layer before it. `activation_bytes` is the
    float32 memory of its tops, 0 where that is its bottom's. `receptive_field` and `stride` are
    in positions of the net's input, per spatial axis.
    """

    name: str
    type: str
    tops: list[tuple[str, Shape | None]]
    parameters: int | None = None
    statistics: int = 0
    shared: int = 0
    macs: int | None = None
    activation_bytes: int | None = None
    receptive_field: tuple[int, ...] | None = None
    stride: tuple[Fraction, ...] | None = None


@dataclass
class NetCosts:
    """All layers of a net in one phase, and the totals of what is known."""

    layers: list[LayerCosts] = field(default_factory=list)

    @property
    def parameters(self) -> int:
        return sum(layer.parameters or 0 for layer in self.layers)

    @property
    def statistics(self) -> int:
        return sum(layer.statistics for layer in self.layers)

    @property
    def macs(self) -> int:
        return sum(layer.macs or 0 for layer in self.layers)

    @property
    def activation_bytes(self) -> int:
        return sum(layer.activation_bytes or 0 for layer in self.layers)

    @property
    def complete(self) -> bool:
        """False if the shapes of some layer are not known."""
        return all(layer.parameters is not None for layer in self.layers)


def net_costs(graph: Graph) -> NetCosts:
    """Returns the costs of a graph built without splits; one forward pass, the batch included."""
    costs = NetCosts()
    views: dict[int, _View | None] = {}
    owned, shared = _parameter_counts(graph)
    for index, node in enumerate(graph.nodes):
        row = LayerCosts(node.param.name, node.param.type, [])
        costs.layers.append(row)
        for blob, shape in zip(node.tops, node.top_shapes, strict=True):
            row.tops.append((graph.blob_names[blob], shape))
        view = _view(node, [views.get(blob) for blob in node.bottoms])
        for blob, shape in zip(node.tops, node.top_shapes, strict=True):
            views[blob] = view if view and shape and len(view.step) == len(shape) - 2 else None
        if view and node.tops and views[node.tops[0]]:
            row.receptive_field = tuple(math.ceil(extent) for extent in view.extent)
            row.stride = view.step
        if node.layer is None or node.parameters is None or None in node.top_shapes:
            continue
        row.parameters, row.statistics = owned.get(index, (0, 0))
        row.shared = shared.get(index, 0)
        bottoms = [shape for shape in node.bottom_shapes if shape is not None]
        tops = [shape for shape in node.top_shapes if shape is not None]
        row.macs = node.layer.macs(bottoms, tops)
        row.activation_bytes = FLOAT_BYTES * sum(
            math.prod(shape)
            for blob, shape in zip(node.tops, tops, strict=True)
            if blob not in node.bottoms and not node.layer.shares_memory
        )
    return costs


def _parameter_counts(graph: Graph) -> tuple[dict[int, tuple[int, int]], dict[int, int]]:
    """Returns per node (learnable, statistics) that it owns, and what it shares with an owner."""
    owned: dict[int, tuple[int, int]] = {}
    shared: dict[int, int] = {}
    for learnable in graph.learnable:
        count = math.prod(learnable.shape)
        index, number = learnable.uses[0]
        parameters, statistics = owned.get(index, (0, 0))
        wanted = graph.nodes[index].parameters
        if wanted and wanted[number].learnable:
            owned[index] = (parameters + count, statistics)
        else:
            owned[index] = (parameters, statistics + count)
        for other, _ in learnable.uses[1:]:
            shared[other] = shared.get(other, 0) + count
    return owned, shared


def _view(node: Node, bottoms: Sequence[_View | None]) -> _View | None:
    """Returns what the node's tops see; through several bottoms the most that one of them does."""
    if not node.bottoms:
        shape = node.top_shapes[0] if node.top_shapes else None
        axes = len(shape) - 2 if shape else 0
        return _View((Fraction(1),) * axes, (Fraction(1),) * axes) if axes > 0 else None
    known = [view for view in bottoms if view is not None]
    first = node.bottom_shapes[0]
    if node.layer is None or first is None or not known:
        return None
    axes = len(known[0].step)
    known = [view for view in known if len(view.step) == axes]
    view = _View(
        tuple(max(view.extent[axis] for view in known) for axis in range(axes)),
        tuple(max(view.step[axis] for view in known) for axis in range(axes)),
    )
    window = node.layer.window(len(first))
    if window is None:
        return view
    extents, strides = window[0], window[1]
    if len(extents) != axes:
        return None
    return _View(
        tuple(
            extent + (window_extent - 1) * step
            for extent, window_extent, step in zip(view.extent, extents, view.step, strict=True)
        ),
        tuple(step * stride for step, stride in zip(view.step, strides, strict=True)),
    )
