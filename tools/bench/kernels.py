"""Times the convolution and product kernels alone, layer by layer, against what the core can do.

    python tools/bench/kernels.py [WORD ...] [--batch 1 16] [--threads 1] [--back] [--json FILE]

Only layers whose names hold a WORD, if there is one. Prints GFLOP/s and the share of the FMA peak,
which a loop of multiply-adds measures in the same run. Weights are packed beforehand, as plans do;
--back times the gradients of data and weights too, which pack on each call. Best of several; on
one thread in seconds of the thread, else of the clock.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from peak import fma_peak

from protonet import kernels

# channels, outputs, size, kernel, stride, pad, group
LAYERS = {
    "resnet 64-64 1x1 56": (64, 64, 56, 1, 1, 0, 1),
    "resnet 64-256 1x1 56": (64, 256, 56, 1, 1, 0, 1),
    "resnet 256-64 1x1 56": (256, 64, 56, 1, 1, 0, 1),
    "resnet 256-128 1x1/2 56": (256, 128, 56, 1, 2, 0, 1),
    "resnet 512-128 1x1 28": (512, 128, 28, 1, 1, 0, 1),
    "resnet 1024-256 1x1 14": (1024, 256, 14, 1, 1, 0, 1),
    "resnet 256-1024 1x1 14": (256, 1024, 14, 1, 1, 0, 1),
    "resnet 2048-512 1x1 7": (2048, 512, 7, 1, 1, 0, 1),
    "resnet 1024-2048 1x1/2 14": (1024, 2048, 14, 1, 2, 0, 1),
    "resnet conv1 7x7/2": (3, 64, 224, 7, 2, 3, 1),
    "resnet 64-64 3x3 56": (64, 64, 56, 3, 1, 1, 1),
    "resnet 512-512 3x3 7": (512, 512, 7, 3, 1, 1, 1),
    "caffenet conv1 11x11/4": (3, 96, 227, 11, 4, 0, 1),
    "caffenet conv2 5x5 in groups": (96, 256, 27, 5, 1, 2, 2),
    "caffenet conv3 3x3 13": (256, 384, 13, 3, 1, 1, 1),
    "googlenet 192-16 1x1 28": (192, 16, 28, 1, 1, 0, 1),
    "googlenet 192-64 1x1 28": (192, 64, 28, 1, 1, 0, 1),
    "googlenet 480-96 1x1 14": (480, 96, 14, 1, 1, 0, 1),
    "googlenet 832-384 1x1 7": (832, 384, 7, 1, 1, 0, 1),
    "googlenet 16-32 5x5 28": (16, 32, 28, 5, 1, 2, 1),
    "googlenet 48-128 5x5 7": (48, 128, 7, 5, 1, 2, 1),
    "squeezenet 16-64 1x1 55": (16, 64, 55, 1, 1, 0, 1),
    "squeezenet 512-1000 1x1 13": (512, 1000, 13, 1, 1, 0, 1),
    "mobilenet conv1 3x3/2": (3, 32, 224, 3, 2, 1, 1),
    "mobilenet 32-64 1x1 112": (32, 64, 112, 1, 1, 0, 1),
    "mobilenet 512-512 1x1 14": (512, 512, 14, 1, 1, 0, 1),
    "downwards 128-128 3x3/2 56": (128, 128, 56, 3, 2, 1, 1),
}
PRODUCTS = {  # rows (instead of the batch, where not 0), columns, depth
    "caffenet fc6": (0, 4096, 9216),
    "resnet fc": (0, 1000, 2048),
    "square product": (2048, 2048, 2048),
}


def best_s(run: Callable[[], None], clock: Callable[[], float]) -> float:
    run()
    before = clock()
    run()
    count = max(1, int(0.003 / max(clock() - before, 1e-6)))
    times = []
    for _ in range(12):
        before = clock()
        for _ in range(count):
            run()
        times.append((clock() - before) / count)
    return min(times)


def packed(pack: Callable[..., None], shape: dict[str, Any]) -> np.ndarray | None:
    size = np.zeros(2, np.int64)
    pack(shape=shape, size=size)
    room = np.zeros(int(size[0]) // 4, np.float32)
    if room.size:
        pack(shape=shape, size=size, packed=room)
    return room if room.size else None


def recorded(run: Callable[..., None], **fields: Any) -> Callable[[], None]:
    with kernels.Tape() as tape:
        run(**fields)
    return tape.replay


def convolution(name: str, n: int, back: bool) -> tuple[float, list[Callable[[], None]]]:
    """Returns the multiply-adds, as FLOP, and what to time."""
    channels, outputs, size, kernel, stride, pad, group = LAYERS[name]
    out = (size + 2 * pad - kernel) // stride + 1
    random = np.random.default_rng(0)
    x = random.standard_normal((n, channels, size, size)).astype("f")
    w = random.standard_normal((outputs, channels // group, kernel, kernel)).astype("f")
    y = np.ones((n, outputs, out, out), np.float32)
    shape: dict[str, Any] = {
        "n": n, "channels": channels, "outputs": outputs, "group": group, "axes": 2,
        "size": [size] * 2, "out": [out] * 2, "kernel": [kernel] * 2, "stride": [stride] * 2,
        "pad": [pad] * 2, "dilation": [1, 1],
    }  # fmt: skip
    weights = packed(kernels.convolution_pack, {"weight": w, **shape})
    relu = {"activate": 1, "slope": 0.0, "low": -np.inf, "high": np.inf}
    bias = np.zeros(outputs, np.float32)
    runs = [
        recorded(
            kernels.convolution, x=x, weight=w, bias=bias, y=y, packed=weights, store=relu, **shape
        )
    ]
    if back:
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        dy = np.ones_like(y)
        runs.append(
            recorded(kernels.convolution_backward_data, shape={"weight": w, **shape}, dy=dy, dx=dx)
        )
        runs.append(
            recorded(
                kernels.convolution_backward_weight, shape={"x": x, **shape}, dy=dy, dweight=dw
            )
        )
    return 2.0 * y.size * w[0].size, runs


def product(name: str, n: int) -> tuple[float, list[Callable[[], None]]]:
    rows, columns, depth = PRODUCTS[name]
    rows = rows or n
    random = np.random.default_rng(0)
    a = random.standard_normal((rows, depth)).astype("f")
    b = random.standard_normal((columns, depth)).astype("f")
    c = np.zeros((rows, columns), np.float32)
    shape = {
        "a": a, "b": b, "m": rows, "n": columns, "k": depth, "a_row": depth, "a_column": 1,
        "b_row": 1, "b_column": depth, "c_row": columns, "beta": 0.0,
    }  # fmt: skip
    weights = packed(kernels.matmul_pack, shape)
    return 2.0 * rows * columns * depth, [recorded(kernels.matmul, c=c, packed=weights, **shape)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--back", action="store_true", help="gradients too")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    kernels.choose_threads(options.threads)
    clock = time.thread_time if options.threads == 1 else time.perf_counter
    peak = fma_peak(options.threads)
    print(f"FMA peak {peak:.0f} GFLOP/s, {kernels.isa()}, {options.threads} thread(s)")
    print("columns: forward, and with --back the gradients of data and weights")
    results = []
    for name in [*LAYERS, *PRODUCTS]:
        if options.words and not any(word in name for word in options.words):
            continue
        for n in options.batch:
            if name in LAYERS:
                flop, runs = convolution(name, n, options.back)
            else:
                flop, runs = product(name, n)
            rates = [flop / best_s(run, clock) / 1e9 for run in runs]
            results.append({"layer": name, "batch": n, "gflops": rates, "peak": peak})
            columns = "   ".join(f"{rate:6.1f} {rate / peak:4.0%}" for rate in rates)
            print(f"{name:30} {n:3}   {columns}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
