"""Which layers, bottoms and parameters a backward pass reaches, by Caffe's rules.

A layer runs backward if one of its parameters learns or one of its bottoms needs a gradient,
and if some loss is reached through it. `propagate_down` overrides the first for one bottom;
`force_backward` asks for all of them, labels excepted.
"""

from __future__ import annotations

from dataclasses import dataclass

from protonet.layers.base import Layer

from .graph import Graph, Node

__all__ = ["Propagation", "loss_weights", "plan_backward"]


@dataclass
class Propagation:
    """Per node: does it run backward, for which bottoms, for which parameters."""

    layers: list[bool]
    bottoms: list[list[bool]]
    parameters: list[list[bool]]


def loss_weights(node: Node, layer: Layer) -> list[float]:
    """Returns the weight of each top in the net's loss."""
    if node.param.loss_weight:
        return list(node.param.loss_weight)
    return [1.0 if layer.is_loss and i == 0 else 0.0 for i in range(len(node.tops))]


def plan_backward(graph: Graph, layers: list[Layer]) -> Propagation:
    """Returns what a backward pass through this graph has to compute."""
    plan = Propagation([], [], [])
    blob_needs = [False] * len(graph.blob_names)
    for node in graph.nodes:
        wants = list(node.param.propagate_down) or [blob_needs[b] for b in node.bottoms]
        specs = node.param.param
        learns = []
        for index, parameter in enumerate(node.parameters or ()):
            rate = specs[index].lr_mult if index < len(specs) else 1.0
            learns.append(parameter.learnable and rate != 0)
        # Caffe asks the blobs here, not the flags: propagate_down cuts off what lies below this
        # layer, not the layer.
        needed = any(blob_needs[blob] for blob in node.bottoms) or any(learns)
        for top in node.tops:
            blob_needs[top] = blob_needs[top] or needed
        plan.layers.append(needed)
        plan.bottoms.append(wants)
        plan.parameters.append(learns)
    _prune(graph, layers, plan)
    if graph.net.force_backward:
        for index, layer in enumerate(layers):
            plan.layers[index] = True
            plan.bottoms[index] = [
                wanted or layer.allow_force_backward(bottom)
                for bottom, wanted in enumerate(plan.bottoms[index])
            ]
            plan.parameters[index] = [True] * len(plan.parameters[index])
    return plan


def _prune(graph: Graph, layers: list[Layer], plan: Propagation) -> None:
    """Takes out what reaches no loss, and what lies behind a bottom that nobody asked for."""
    under_loss: set[int] = set()
    skipped: set[int] = set()
    for index in reversed(range(len(graph.nodes))):
        node = graph.nodes[index]
        weights = loss_weights(node, layers[index])
        contributes = any(
            weight != 0 or top in under_loss for top, weight in zip(node.tops, weights, strict=True)
        )
        if all(top in skipped for top in node.tops):
            plan.layers[index] = False
            plan.bottoms[index] = [False] * len(node.bottoms)
        if not contributes:
            plan.layers[index] = False
            plan.bottoms[index] = [False] * len(node.bottoms)
        for bottom, wanted in zip(node.bottoms, plan.bottoms[index], strict=True):
            if contributes:
                under_loss.add(bottom)
            if not wanted:
                skipped.add(bottom)
