"""Times LeNet's training iteration here and in PyTorch: same cores, same run, taken in turn.

    python tools/bench/lenet.py [--batch 64] [--rounds 15] [--threads N] [--json FILE]

One iteration is forward, backward and the update of SGD with momentum and weight decay on a
batch that stays in memory. PyTorch (eager) runs in a process of its own, from
`--torch-python` or an environment that is made in .venv-bench; without one only our time is
printed. Medians over the rounds; the ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

from engines import Worker, torch_python

NET = """
name: "LeNet"
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: {batch} dim: 1 dim: 28 dim: 28 }} }} }}
layer {{ name: "label" type: "Input" top: "label" input_param {{ shape {{ dim: {batch} }} }} }}
layer {{ name: "conv1" type: "Convolution" bottom: "data" top: "conv1" convolution_param {{ num_output: 20 kernel_size: 5 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param {{ pool: MAX kernel_size: 2 stride: 2 }} }}
layer {{ name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2" convolution_param {{ num_output: 50 kernel_size: 5 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2" pooling_param {{ pool: MAX kernel_size: 2 stride: 2 }} }}
layer {{ name: "ip1" type: "InnerProduct" bottom: "pool2" top: "ip1" inner_product_param {{ num_output: 500 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }}
layer {{ name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" inner_product_param {{ num_output: 10 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }}
"""  # noqa: E501

TORCH_WORKER = """
import sys, time, torch
batch, threads, count = map(int, sys.argv[1:])
torch.set_num_threads(threads)
n = torch.nn
net = n.Sequential(n.Conv2d(1, 20, 5), n.MaxPool2d(2), n.Conv2d(20, 50, 5), n.MaxPool2d(2),
                   n.Flatten(), n.Linear(800, 500), n.ReLU(), n.Linear(500, 10))
solver = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, fused=True)
x, label = torch.rand(batch, 1, 28, 28), torch.randint(10, (batch,))
def step():
    solver.zero_grad()
    n.functional.cross_entropy(net(x), label).backward()
    solver.step()
for _ in range(10):
    step()
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    for _ in range(count):
        step()
    print((time.perf_counter() - start) / count * 1e3, flush=True)
"""

OUR_WORKER = """
import sys, time
import numpy as np
from protonet import NetParameter, Solver, SolverParameter, kernels
from protonet.prototxt import parse_text
batch, threads, count = map(int, sys.argv[1:4])
kernels.choose_threads(threads)
net, _ = parse_text(sys.argv[4], NetParameter)
solver = Solver(SolverParameter(net_param=net, base_lr=0.01, momentum=0.9, weight_decay=5e-4,
                                lr_policy="fixed", max_iter=10**9, random_seed=1, display=0,
                                snapshot_prefix="unused", solver_mode=SolverParameter.CPU))
random = np.random.default_rng(0)
solver.net.blobs["data"].data[...] = random.random((batch, 1, 28, 28))
solver.net.blobs["label"].data[...] = random.integers(10, size=batch)
solver.step(10)
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    solver.step(count)
    print((time.perf_counter() - start) / count * 1e3, flush=True)
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--batch", type=int, default=64)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--iterations", type=int, default=30, help="per round")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--torch-python", help="a Python that has torch")
    options.add_argument("--json", type=Path, help="write the figures there")
    given = options.parse_args()
    counts = (given.batch, given.threads, given.iterations)
    workers = {"protonet": Worker(sys.executable, OUR_WORKER, *counts, NET.format(batch=counts[0]))}
    other = torch_python(given.torch_python)
    if other:
        workers["torch eager"] = Worker(other, TORCH_WORKER, *counts)
    times: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(given.rounds):
        for name, worker in workers.items():
            times[name].append(float(worker.ask()))
            time.sleep(0.02)  # let the other's spinning threads go to sleep
    print(f"LeNet, batch {given.batch}, one training iteration, {given.threads} threads:")
    for name, values in times.items():
        print(f"  {name:12} {statistics.median(values):8.3f} ms (best {min(values):.3f})")
    figures: dict[str, object] = {"times_ms": times}
    if other:
        pairs = zip(times["protonet"], times["torch eager"], strict=True)
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        figures["ratio"] = ratio
        print(f"  protonet / torch eager: {ratio:.2f}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")
    for worker in workers.values():
        worker.close()


if __name__ == "__main__":
    main()
