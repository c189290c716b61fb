"""Times every layer type, forward and backward, here and in PyTorch: same shapes, same cores.

    python tools/bench/layers.py [TYPE ...] [--rounds 7] [--threads N] [--json FILE]

What runs is tools/bench/layer_cases.py. PyTorch (eager) runs in a process of its own, from
`--torch-python` or an environment that is made in .venv-bench. The two take turns; times are
medians over the rounds, the ratio is the median of the rounds' ratios, ours / PyTorch's.
Backward ends when each input's gradient lies in memory of its own, in PyTorch in its `.grad`. A
dagger marks ratios above 1.5 of layers that are neither convolution nor matrix product.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

from engines import Worker, torch_python
from layer_cases import CASES, Case

PRODUCTS = {
    "InnerProduct", "Convolution", "Deconvolution", "ConvolutionDepthwise",
    "DepthwiseConvolution", "RNN", "LSTM",
}  # fmt: skip

# Both engines: one line names the case and makes it ready; then each line times a direction.
ROUND = """
import json, statistics, sys, time
def median_ms(run):
    start = time.perf_counter()
    run()
    once = time.perf_counter() - start
    count = max(3, min(300, int(0.03 / max(once, 1e-7))))
    times = []
    for _ in range(count):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3
def bottom(text, first):
    import numpy as np
    kind, *rest = text.split()
    random = np.random.default_rng(len(text))
    if kind == "classes":
        return random.integers(int(rest[0]), size=[int(d) for d in rest[1:]]).astype("f")
    shape = [int(d) for d in rest]
    if kind == "x":
        return random.standard_normal(shape).astype("f")
    if kind == "positive":
        return random.uniform(0.1, 2, shape).astype("f")
    if kind == "binary":
        return random.integers(2, size=shape).astype("f")
    if kind == "rows":
        return random.integers(first[0], size=shape).astype("f")
    if kind == "cont":
        cont = np.ones(shape, "f")
        cont[0] = 0
        return cont
    if kind == "mask":
        rows, columns = np.indices(shape[2:]) * 2
        place = random.integers(4, size=shape)
        return ((rows + place // 2) * 2 * shape[3] + columns + place % 2).astype("f")
    if kind == "image":
        return np.array([[*shape, 1]], "f")
    count = shape[0]
    if kind == "priors":
        corner, size = random.uniform(0, 0.7, (count, 2)), random.uniform(0.05, 0.3, (count, 2))
        boxes = np.concatenate([corner, corner + size], 1)
        return np.stack([boxes, np.full((count, 4), 0.1)]).reshape(1, 2, -1).astype("f")
    if kind == "truths":
        corner, size = random.uniform(0, 0.7, (count, 2)), random.uniform(0.05, 0.3, (count, 2))
        image = np.arange(count)[:, None] * first[0] // count
        label = random.integers(1, shape[1], (count, 1))
        rows = np.concatenate([image, label, image, corner, corner + size, 0 * image], 1)
        return rows[None, None].astype("f")
    assert kind == "regions"
    corner, size = random.uniform(0, 300, (count, 2)), random.uniform(50, 300, (count, 2))
    return np.concatenate([np.zeros((count, 1)), corner, corner + size], 1).astype("f")
def bottoms(case):
    made = []
    for text in case["bottoms"]:
        made.append(bottom(text, made[0].shape if made else ()))
    return made
def serve(ready):
    print("ready", flush=True)
    for line in sys.stdin:
        if line.startswith("{"):
            forward, backward = ready(json.loads(line))
            print("ready", flush=True)
        else:
            print(median_ms(backward if line.strip() == "backward" else forward), flush=True)
"""

OURS = """
from protonet import Net, NetParameter, kernels
from protonet.ir.document import Document
from protonet.ir.protonet_pb2 import TRAIN
from protonet.prototxt import parse_text
kernels.choose_threads(int(sys.argv[1]))
def ready(case):
    arrays = bottoms(case)
    text = "force_backward: true\\n"
    for i, array in enumerate(arrays):
        dims = " ".join(f"dim: {d}" for d in array.shape)
        text += f'layer {{ name: "in{i}" type: "Input" top: "b{i}" '
        text += f"input_param {{ shape {{ {dims} }} }} }}\\n"
    names = "".join(f' bottom: "b{i}"' for i in range(len(arrays)))
    names += "".join(f' top: "t{i}"' for i in range(case["tops"]))
    text += f'layer {{ name: "layer" type: "{case["type"]}"{names} {case["settings"]} }}\\n'
    message, source = parse_text(text, NetParameter, "bench")
    net = Net(Document(message, source, []), TRAIN, seed=1)
    for i, array in enumerate(arrays):
        net.blobs[f"b{i}"].data[...] = array
    net.forward()
    for i in range(case["tops"]):
        top = net.blobs[f"t{i}"]
        if not net.blob_loss_weights.get(f"t{i}"):
            top.diff[...] = 1
    return net.run_forward, net.run_backward
serve(ready)
"""

TORCH = """
import torch
from torch import nn as n
from torch.nn import functional as f
torch.set_num_threads(int(sys.argv[1]))
class Affine(n.Module):
    def __init__(self, weight, bias):
        super().__init__()
        self.weight = None if weight is None else n.Parameter(weight)
        self.bias = n.Parameter(bias)
    def forward(self, x):
        return x + self.bias if self.weight is None else torch.addcmul(self.bias, x, self.weight)
class Normalized(n.Module):
    def __init__(self):
        super().__init__()
        self.scale = n.Parameter(torch.ones(64, 1, 1))
    def forward(self, x):
        return f.normalize(x.flatten(1)).view_as(x) * self.scale
class StochasticPool:
    def __call__(self, x):
        parts = f.unfold(x.flatten(0, 1)[:, None], 2, stride=2).transpose(1, 2).reshape(-1, 4)
        at = torch.multinomial(parts.detach(), 1)
        return parts.gather(1, at)
class Hinge:
    def __call__(self, x, y):
        sign = torch.ones_like(x).scatter_(1, y.long()[:, None], -1)
        return f.relu(1 + sign * x).sum() / len(x)
class Contrastive:
    def __call__(self, x, y, same):
        square = ((x - y) ** 2).sum(1)
        return (same * square + (1 - same) * f.relu(1 - square)).sum() / (2 * len(x))
class Embedded(n.Module):
    def __init__(self, rows, size):
        super().__init__()
        self.table = n.Embedding(rows, size)
        self.bias = n.Parameter(torch.zeros(size))
    def forward(self, x):
        return self.table(x.long()) + self.bias
class Recurrent(n.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer
    def forward(self, x, cont):
        return self.layer(x)[0]
class Unit:
    def __call__(self, c, x, cont):
        i, o, g, h = x.split(256, 2)[0], x.split(256, 2)[2], x.split(256, 2)[3], x.split(256, 2)[1]
        c = torch.sigmoid(h) * (cont[..., None] * c) + torch.sigmoid(i) * torch.tanh(g)
        return [c, torch.sigmoid(o) * torch.tanh(c)]
class Warp:
    def __call__(self, x, flow):
        N, C, H, W = x.shape
        rows, columns = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
        at = torch.stack([(columns + flow[:, 0]) * (2 / (W - 1)) - 1,
                          (rows + flow[:, 1]) * (2 / (H - 1)) - 1], 3)
        return f.grid_sample(x, at, align_corners=True)
class Correlated:
    def __init__(self, d):
        self.d = d
    def __call__(self, x, y):
        H, W = x.shape[2:]
        y = f.pad(y, [self.d] * 4)
        return torch.stack([(x * y[:, :, i:i + H, j:j + W]).mean(1)
                            for i in range(2 * self.d + 1) for j in range(2 * self.d + 1)], 1)
def ready(case):
    wants = [t.split()[0] in ("x", "positive") and case["backward"] for t in case["bottoms"]]
    inputs = [torch.from_numpy(a).requires_grad_(w)
              for a, w in zip(bottoms(case), wants)]
    layer = eval(case["torch"])
    if isinstance(layer, n.Module):
        layer.train()
    def forward():
        with torch.no_grad():
            return layer(*inputs)
    if not case["backward"]:
        return forward, None
    made = layer(*inputs)
    tops = made if isinstance(made, list) else [made]
    learned = [p for p in layer.parameters()] if isinstance(layer, n.Module) else []
    leaves = [i for i in inputs if i.requires_grad] + learned
    ones = [torch.ones_like(t) for t in tops]
    def backward():
        for leaf in leaves:
            leaf.grad = None
        torch.autograd.backward(tops, ones, retain_graph=True, inputs=leaves)
    return forward, backward
serve(ready)
"""


def timed(case: Case, workers: dict[str, Worker], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Returns direction → engine → ms of each round."""
    message = json.dumps(case._asdict())
    running = {name: w for name, w in workers.items() if name == "protonet" or case.torch}
    for worker in running.values():
        worker.ask(message)
    directions = ["forward", "backward"] if case.backward else ["forward"]
    times: dict[str, dict[str, list[float]]] = {d: {n: [] for n in running} for d in directions}
    for direction in directions:
        for _ in range(rounds):
            for name, worker in running.items():
                times[direction][name].append(float(worker.ask(direction)))
    return times


def described(case: Case, times: dict[str, dict[str, list[float]]]) -> tuple[str, bool]:
    """Returns the case's line, and whether it is too slow."""
    cells, slow = [], False
    for direction in ("forward", "backward"):
        if direction not in times:
            cells.append(f"{'':28}")
            continue
        ours = statistics.median(times[direction]["protonet"])
        theirs = times[direction].get("torch")
        if theirs is None:
            cells.append(f"{ours:9.3f} {'':9} {'':8}")
            continue
        pairs = zip(times[direction]["protonet"], theirs, strict=True)
        ratio = statistics.median(a / b for a, b in pairs)
        too_slow = ratio > 1.5 and case.type not in PRODUCTS
        slow |= too_slow
        cells.append(f"{ours:9.3f} {statistics.median(theirs):9.3f} {ratio:6.2f}{' †'[too_slow]} ")
    name = f"{case.type} {' '.join(case.settings.split()[2:-1])}"
    return f"{name[:44]:44} {' '.join(cells)}", slow


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("types", nargs="*", help="only these")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--torch-python", help="a Python that has torch")
    options.add_argument("--json", type=Path, help="write the figures there")
    given = options.parse_args()
    workers = {"protonet": Worker(sys.executable, ROUND + OURS, given.threads)}
    other = torch_python(given.torch_python)
    if other:
        workers["torch"] = Worker(other, ROUND + TORCH, given.threads)
    print(f"{'ms, ' + str(given.threads) + ' threads':44}   forward     torch   ratio  "
          "  backward     torch   ratio")  # fmt: skip
    figures, slow = [], 0
    for case in CASES:
        if given.types and case.type not in given.types:
            continue
        times = timed(case, workers, given.rounds)
        line, too_slow = described(case, times)
        slow += too_slow
        print(line, flush=True)
        figures.append({**case._asdict(), "times_ms": times})
    print(f"{slow} of {len(figures)} above 1.5" if other else "no PyTorch to compare with")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")
    for worker in workers.values():
        worker.close()


if __name__ == "__main__":
    main()
