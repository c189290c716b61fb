"""How long each layer of a net takes, forward and backward, and how fast that is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from protonet.blob import Blob
    from protonet.net import Net

__all__ = ["LayerTime", "NetTime", "time_net"]


@dataclass(frozen=True)
class DirectionTime:
    """One direction of a layer: the median of its time, the floating-point operations of its
    products (2 for each multiply-add), and the bytes that it reads and writes at least."""

    ms: float
    flop: int
    bytes: int

    @property
    def gflop_per_s(self) -> float | None:
        """None for a layer that multiplies no matrices."""
        return self.flop / self.ms / 1e6 if self.flop and self.ms else None


@dataclass(frozen=True)
class LayerTime:
    """A layer; `backward` is None if it has nothing to do in that direction."""

    name: str
    type: str
    forward: DirectionTime
    backward: DirectionTime | None


@dataclass(frozen=True)
class NetTime:
    """All layers, and the medians of whole passes, in which they run without stops between."""

    layers: list[LayerTime]
    forward_ms: float
    backward_ms: float
    passes: int


def time_net(
    net: Net, passes: int, each: Callable[[Iterable[int], int], Iterable[int]] | None = None
) -> NetTime:
    """Runs a net so many times layer by layer, and as often in one go; each time is the median.

    A pass before these makes the buffers and is not counted. Parameters' gradients are cleared.
    `each` goes through the passes in place of a plain loop, to show how far they are.
    """
    net.run_timed()
    whole: tuple[list[float], list[float]] = ([], [])
    single: tuple[dict[int, list[float]], dict[int, list[float]]] = ({}, {})
    rounds = range(passes)
    for _ in each(rounds, passes) if each else rounds:
        for times, seconds in zip(single, net.run_timed(), strict=True):
            for index, value in seconds.items():
                times.setdefault(index, []).append(value)
        for values, run in zip(whole, (net.run_forward, net.run_backward), strict=True):
            start = time.perf_counter()
            run()
            values.append(time.perf_counter() - start)
    net.clear_param_diffs()
    layers = [_layer(net, index, *single) for index in range(len(net.layers))]
    return NetTime(layers, _median_ms(whole[0]), _median_ms(whole[1]), passes)


def _layer(
    net: Net, index: int, forward: dict[int, list[float]], backward: dict[int, list[float]]
) -> LayerTime:
    layer, node = net.layers[index], net.graph.nodes[index]
    bottoms, tops = (
        [net.blobs[net.graph.blob_names[i]] for i in ids] for ids in (node.bottoms, node.tops)
    )
    flop = 2 * layer.macs([blob.shape for blob in bottoms], [blob.shape for blob in tops])
    moved = [] if layer.shares_memory else [*bottoms, *layer.blobs, *tops]
    there = DirectionTime(_median_ms(forward[index]), flop, _size(moved))
    back = None
    if index in backward:
        towards = [b for b, needed in zip(bottoms, layer.propagate_down, strict=True) if needed]
        learned = [
            b for b, needed in zip(layer.blobs, layer.param_propagate_down, strict=True) if needed
        ]
        products = flop * (bool(towards) + bool(learned)) if layer.blobs else flop
        moved += [*towards, *learned]
        back = DirectionTime(_median_ms(backward[index]), products, _size(moved))
    return LayerTime(layer.name, layer.type, there, back)


def _size(blobs: Iterable[Blob]) -> int:
    arrays: list[Any] = [blob.data for blob in blobs]
    return sum(array.nbytes for array in arrays)


def _median_ms(seconds: list[float]) -> float:
    return statistics.median(seconds) * 1e3
