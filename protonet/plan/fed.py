"""FedPlan: a plan that runs over what the data layers of its net bring."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from protonet.net import Net

from .plan import Plan, compile

__all__ = ["FedPlan"]


class FedPlan:
    """Runs a net's data layers, and a plan of the net on what they made.

    Inputs that no data layer makes are what the net's blobs hold. `keep` is
    that of `compile`; `loss` is Σ weight · Σ top over the batch that ran last.
    """

    def __init__(self, net: Net, keep: Sequence[str] = ()) -> None:
        self.net = net
        nodes = zip(net.graph.nodes, net.loss_weights, strict=True)
        self._losses = [
            (name, weight)
            for node, weights in nodes
            for name, weight in zip(net.graph.top_names(node), weights, strict=True)
            if weight
        ]
        self.loss = 0.0
        self.plan: Plan = compile(net, keep=[*keep, *(name for name, _ in self._losses)])
        self._sources = [index for index, layer in enumerate(net.layers) if layer.is_data]

    def run(self) -> dict[str, np.ndarray]:
        """Returns the outputs for the next batch, by name, in arrays of the caller's own, and
        sets `loss`."""
        for index in self._sources:
            self.net.run_forward(index, index)
        blobs = self.net.blobs
        made = {name: blobs[name].data for name in self.plan.inputs}
        found = self.plan.run(**made)
        self.loss = sum(weight * float(found[name].sum()) for name, weight in self._losses)
        return found
