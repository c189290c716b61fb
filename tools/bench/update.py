"""Times the update of AlexNet's 61 M parameters here and in PyTorch, for each rule.

    python tools/bench/update.py [--rounds 15] [--threads N] [--rule NAME] [--json FILE]

One update reads gradient, weight and state and writes weight and state, with weight decay; ours
also sets the gradient to zero, for which PyTorch has zero_grad, not timed here. PyTorch takes its
fused optimizer where it has one for the rule, else the foreach one. Both run in processes of
their own and in turn; the ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from pathlib import Path

from engines import Worker, torch_python

SHAPES = [
    (96, 3, 11, 11), (96,), (256, 48, 5, 5), (256,), (384, 256, 3, 3), (384,), (384, 192, 3, 3),
    (384,), (256, 192, 3, 3), (256,), (4096, 9216), (4096,), (4096, 4096), (4096,), (1000, 4096),
    (1000,),
]  # fmt: skip
UPDATES = 3  # in a round

# Rule → our solver's fields, and PyTorch's optimizer.
RULES = {
    "SGD": ('momentum: 0.9', "SGD(p, lr=1e-3, momentum=0.9, weight_decay=5e-4, fused=True)"),
    "Nesterov": (
        'momentum: 0.9',
        "SGD(p, lr=1e-3, momentum=0.9, weight_decay=5e-4, nesterov=True, fused=True)",
    ),
    "AdaGrad": ("", "Adagrad(p, lr=1e-3, weight_decay=5e-4, fused=True)"),
    "RMSProp": ("", "RMSprop(p, lr=1e-3, weight_decay=5e-4, foreach=True)"),
    "AdaDelta": ('momentum: 0.9', "Adadelta(p, lr=1e-3, weight_decay=5e-4, foreach=True)"),
    "Adam": ('momentum: 0.9', "Adam(p, lr=1e-3, weight_decay=5e-4, fused=True)"),
    "AdamW": ('momentum: 0.9', "AdamW(p, lr=1e-3, weight_decay=5e-4, fused=True)"),
}  # fmt: skip

TORCH_WORKER = """
import sys, time, torch
shapes, threads, updates = eval(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
p = [torch.nn.Parameter(torch.randn(shape) * 0.01) for shape in shapes]
gradients = [torch.randn(shape) * 0.01 for shape in shapes]
for each, gradient in zip(p, gradients):
    each.grad = gradient.clone()
print("ready", flush=True)
text = solver = None
for line in sys.stdin:
    if line != text:
        text = line
        solver = None
        solver = eval("torch.optim." + text)
        solver.step()
    seconds = 0.0
    for _ in range(updates):
        for each, gradient in zip(p, gradients):
            each.grad.copy_(gradient)
        start = time.perf_counter()
        solver.step()
        seconds += time.perf_counter() - start
    print(seconds / updates * 1e3, flush=True)
"""

OUR_WORKER = """
import sys, time
import numpy as np
from protonet import Solver, SolverParameter, kernels
from protonet.prototxt import parse_text
shapes, threads, updates = eval(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
kernels.choose_threads(threads)
layer = 'layer {{ name: "{0}" type: "Parameter" top: "{0}" parameter_param {{ shape {{ {1} }} }} }} '
dims = [" ".join(f"dim: {size}" for size in shape) for shape in shapes]
net = "net_param { " + "".join(layer.format(*pair) for pair in enumerate(dims)) + "}"
usual = 'base_lr: 1e-3 lr_policy: "fixed" weight_decay: 5e-4 max_iter: 1 snapshot_prefix: "x" '
random = np.random.default_rng(0)
print("ready", flush=True)
text = solver = None
for line in sys.stdin:
    if line != text:
        text = line
        solver = None
        param, _ = parse_text(usual + text + net, SolverParameter)
        solver = Solver(param)
        gradients = []
        for blob in solver.net.learnable_params:
            blob.data[...] = random.standard_normal(blob.shape, np.float32) * np.float32(0.01)
            gradients.append(random.standard_normal(blob.shape, np.float32) * np.float32(0.01))
            blob.diff[...] = gradients[-1]
        solver.apply_update(keep_change=False)
    seconds = 0.0
    for _ in range(updates):
        for blob, gradient in zip(solver.net.learnable_params, gradients):
            blob.diff[...] = gradient
        start = time.perf_counter()
        solver.apply_update(keep_change=False)
        seconds += time.perf_counter() - start
    print(seconds / updates * 1e3, flush=True)
"""  # noqa: E501


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--rule", choices=RULES, action="append", help="only this one")
    options.add_argument("--torch-python", help="a Python that has torch")
    options.add_argument("--json", type=Path, help="write the figures there")
    given = options.parse_args()
    arguments = (SHAPES, given.threads, UPDATES)
    ours = Worker(sys.executable, OUR_WORKER, *arguments)
    python = torch_python(given.torch_python)
    theirs = Worker(python, TORCH_WORKER, *arguments) if python else None
    count = sum(math.prod(shape) for shape in SHAPES)
    print(f"The update of {count:,} parameters, {given.threads} threads, ms:")
    figures = {}
    for rule in given.rule or RULES:
        fields, optimizer = RULES[rule]
        times: dict[str, list[float]] = {"protonet": [], "torch": []}
        for _ in range(given.rounds):
            times["protonet"].append(float(ours.ask(f'type: "{rule}" {fields}')))
            if theirs:
                time.sleep(0.02)  # let the other's spinning threads go to sleep
                times["torch"].append(float(theirs.ask(optimizer)))
                time.sleep(0.02)
        figures[rule] = {"times_ms": times, "ratio": _ratio(times)}
        print(_line(rule, times, "fused" if "fused" in optimizer else "foreach"), flush=True)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")
    for worker in (ours, theirs):
        if worker:
            worker.close()


def _line(rule: str, times: dict[str, list[float]], kind: str) -> str:
    line = f"  {rule:9} protonet {statistics.median(times['protonet']):7.1f}"
    ratio = _ratio(times)
    if ratio is None:
        return line
    return f"{line}   torch ({kind}) {statistics.median(times['torch']):7.1f}   ratio {ratio:.2f}"


def _ratio(times: dict[str, list[float]]) -> float | None:
    if not times["torch"]:
        return None
    pairs = zip(times["protonet"], times["torch"], strict=True)
    return statistics.median(ours / theirs for ours, theirs in pairs)


if __name__ == "__main__":
    main()
