"""Times layers that whole passes run as one (protonet/chains.py) against the same one by one.

    python tools/bench/chains.py [--batch 8] [--threads 1] [--rounds 10]

Convolution, BatchNorm, Scale and ReLU in place as ResNet has them, and Convolution and ReLU as VGG
has them; ms forward and backward, the two in turn, the best of the rounds. On one thread in seconds
of the thread, else of the clock.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from protonet import Net, NetParameter, kernels
from protonet.ir.document import Document
from protonet.ir.protonet_pb2 import TRAIN
from protonet.prototxt import parse_text

NORMALIZED = """layer { name: "norm" type: "BatchNorm" bottom: "y" top: "y" }
layer { name: "scale" type: "Scale" bottom: "y" top: "y" scale_param { bias_term: true } }
"""
RELU = 'layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }'
SIZES = (  # channels, outputs, height and width, what follows the convolution
    (64, 256, 56, NORMALIZED + RELU),
    (64, 64, 56, NORMALIZED + RELU),
    (128, 512, 28, NORMALIZED + RELU),
    (256, 1024, 14, NORMALIZED + RELU),
    (512, 2048, 7, NORMALIZED + RELU),
    (64, 64, 112, RELU),
    (256, 256, 28, RELU),
)


def made(batch: int, channels: int, outputs: int, size: int, following: str) -> Net:
    text = f"""force_backward: true
        layer {{ name: "x" type: "Input" top: "x"
          input_param {{ shape {{ dim: {batch} dim: {channels} dim: {size} dim: {size} }} }} }}
        layer {{ name: "product" type: "Convolution" bottom: "x" top: "y" convolution_param {{
          num_output: {outputs} kernel_size: 1 weight_filler {{ type: "xavier" }} }} }}
        {following}"""
    message, source = parse_text(text, NetParameter, "bench")
    net = Net(Document(message, source, []), TRAIN, seed=1)
    random = np.random.default_rng(0)
    net.blobs["x"].data[...] = random.standard_normal(net.blobs["x"].shape)
    net.run_forward()
    net.blobs["y"].diff[...] = random.standard_normal(net.blobs["y"].shape)
    return net


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    options.add_argument("--batch", type=int, default=8)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--rounds", type=int, default=10)
    given = options.parse_args()
    kernels.choose_threads(given.threads)
    clock = time.thread_time if given.threads == 1 else time.perf_counter

    def ms(run: Callable[[], object]) -> float:
        start = clock()
        run()
        return (clock() - start) * 1e3

    print("forward: as one, one by one; backward: as one, one by one; ms")
    for channels, outputs, size, following in SIZES:
        joined, parted = (made(given.batch, channels, outputs, size, following) for _ in range(2))
        parted.before_forward(lambda _: None)
        parted.before_backward(lambda _: None)
        runs = [
            run for kind in ("run_forward", "run_backward")
            for run in (getattr(joined, kind), getattr(parted, kind))
        ]  # fmt: skip
        times = np.array([[ms(run) for run in runs] for _ in range(given.rounds + 1)])[1:]
        columns = "  ".join(f"{best:7.2f}" for best in times.min(axis=0))
        kind = "norm, scale, relu" if "norm" in following else "relu"
        print(f"{channels:4}→{outputs:4} {size:3}  {kind:18} {columns}", flush=True)


if __name__ == "__main__":
    main()
