"""The networks that tools/bench/nets.py times, and their batches."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["NETS", "BenchNet"]


class BenchNet(NamedTuple):
    """A folder of models/, the batches of its inference and those of its training, if any."""

    name: str
    batches: tuple[int, ...]
    training_batches: tuple[int, ...]


NETS = {
    net.name: net
    for net in (
        BenchNet("lenet", (1, 16), (64,)),
        BenchNet("cifar10_quick", (1, 16), (100,)),
        BenchNet("caffenet", (1, 16), (32,)),
        BenchNet("vgg16", (1, 8), (4,)),
        BenchNet("googlenet", (1, 16), (8,)),
        BenchNet("resnet50", (1, 16), (8,)),
        BenchNet("squeezenet", (1, 16), ()),
        BenchNet("mobilenet", (1, 16), ()),
    )
}
