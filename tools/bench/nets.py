"""Times whole networks, inference and training, here and in other engines: same run, same cores.

    python tools/bench/nets.py [NET …] [--mode inference|training] [--engines torch,openvino]
        [--batches 1,16] [--threads N] [--rounds 5] [--seconds 0.3] [--python P] [--json FILE]

NETs are folders of models/ that net_cases.py names, by default all; random weights, the same for
all. Each engine runs in a process of its own and compares its outputs with ours; the engines take
turns, and a time is the median over the rounds, each a median itself. Inference is a run of
`protonet.compile`'s plan (engine protonet; protonet-net, if named, is `Net.forward`), training
forward, backward and SGD with momentum. torch-cl is channels_last, torch.compile freezes weights
for inference; ncnn takes a batch image by image. The share is of the FMA peak in the same run;
Winograd needs fewer operations than are counted, so it may pass 100 %.

The other engines come from `--python`, or an environment that is made in .venv-bench from
tools/bench/requirements.txt; one that is not there is named and left out.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engines import Worker, has, peers_python
from net_cases import NETS, BenchNet
from net_files import write_inference, write_training
from net_table import Row, table
from peak import fma_peak

WORKER = Path(__file__).with_name("net_worker.py")
MODULES = {
    "protonet": None, "protonet-net": None, "torch": "torch", "torch-cl": "torch",
    "torch.compile": "torch", "onnxruntime": "onnxruntime", "openvino": "openvino",
    "opencv": "cv2", "ncnn": "ncnn",
}  # fmt: skip
ENGINES = {
    "inference": [name for name in MODULES if name != "protonet-net"],
    "training": ["protonet", "torch", "torch-cl", "torch.compile"],
}
WRITERS = {"inference": write_inference, "training": write_training}
MOST_OFF = 1e-3


def chosen_engines(mode: str, named: list[str]) -> list[str]:
    """Returns ours, then those of a mode that are named; all if none is."""
    if not named:
        return ENGINES[mode]
    known = [name for name in MODULES if name in ENGINES[mode] or mode == "inference"]
    return [name for name in known if name == "protonet" or name in named]


def present(engines: list[str], python: str) -> list[str]:
    """Returns those of the engines that a Python has; says which it has not."""
    modules = {MODULES[engine] for engine in engines} - {None}
    missing = {module for module in modules if module and not has(python, module)}
    for module in sorted(missing):
        print(f"{module} is not in {python}: left out", file=sys.stderr)
    return [engine for engine in engines if MODULES[engine] not in missing]


def measured(
    net: BenchNet, batch: int, mode: str, engines: list[str], given: argparse.Namespace
) -> tuple[Row, dict[str, float]]:
    """Returns the engines' times, and how far their outputs are from ours."""
    times: dict[str, list[float]] = {}
    off: dict[str, float] = {}
    workers: dict[str, Worker] = {}
    with tempfile.TemporaryDirectory() as folder:
        flop = WRITERS[mode](net.name, batch, Path(folder))
        for engine in engines:
            python = given.python if MODULES[engine] else sys.executable
            arguments = (engine, mode, folder, given.threads, given.seconds)
            try:
                workers[engine] = Worker(python, WORKER, *arguments)
            except SystemExit:
                print(f"{engine} cannot run {net.name}, batch {batch}", file=sys.stderr)
                continue
            times[engine], off[engine] = [], float(workers[engine].first)
            if not off[engine] <= MOST_OFF:
                print(f"{engine}: {net.name} is off by {off[engine]:.2g}", file=sys.stderr)
        for _ in range(given.rounds):
            for engine, worker in workers.items():
                times[engine].append(float(worker.ask()))
                time.sleep(0.02)  # let the other's spinning threads go to sleep
        for worker in workers.values():
            worker.close()
    return Row(net.name, batch, flop, times), off


def batches(net: BenchNet, mode: str, named: list[int]) -> list[int]:
    """Returns the batches of a net in a mode; those named instead if it has the mode at all."""
    own = net.batches if mode == "inference" else net.training_batches
    return named if named and own else list(own)


def bench(mode: str, given: argparse.Namespace, keep: Callable[[dict[str, Any]], None]) -> None:
    """Prints each net's line as it comes, then the mode's table; keeps the figures."""
    engines = present(chosen_engines(mode, given.engines), given.python)
    rows, peaks = [], []
    for net in (NETS[name] for name in given.nets or NETS):
        for batch in batches(net, mode, given.batches):
            peaks.append(fma_peak(given.threads))
            row, off = measured(net, batch, mode, engines, given)
            rows.append(row)
            keep(
                {"mode": mode, "net": net.name, "batch": batch, "threads": given.threads,
                 "flop": row.flop, "times_ms": row.times, "off": off, "ratio": row.ratio,
                 "peak_gflop_per_s": peaks[-1]}
            )  # fmt: skip
            shown = "  ".join(f"{name} {ms:.3g}" for name, ms in row.medians.items())
            print(f"{mode} {net.name} {batch}: {shown}", file=sys.stderr, flush=True)
    if rows:
        peak = max(peaks)
        print(f"\n{mode}, {given.threads} threads, ms; FMA peak {peak:.0f} GFLOP/s\n")
        print(table(rows, engines, peak), flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("nets", nargs="*", metavar="NET", help=f"of {', '.join(NETS)}")
    options.add_argument("--mode", choices=list(ENGINES), help="by default both")
    options.add_argument("--engines", type=listed, default=[], help=f"of {', '.join(MODULES)}")
    options.add_argument("--batches", type=numbers, default=[], help="in place of the nets' own")
    options.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=0.3, help="per engine and round")
    options.add_argument("--python", help="a Python that has the other engines")
    options.add_argument("--json", type=Path, help="write the figures there")
    given = options.parse_args()
    for kind, named, known in (("net", given.nets, NETS), ("engine", given.engines, MODULES)):
        if unknown := [name for name in named if name not in known]:
            options.error(f"no {kind} {', '.join(unknown)}; there are {', '.join(known)}")
    given.python = given.python or peers_python() or sys.executable
    figures: list[dict[str, Any]] = []

    def keep(figure: dict[str, Any]) -> None:
        figures.append(figure)
        if given.json:
            given.json.write_text(json.dumps(figures, indent=1) + "\n")

    for mode in ENGINES:
        if given.mode in (None, mode):
            bench(mode, given, keep)


def listed(text: str) -> list[str]:
    return text.split(",")


def numbers(text: str) -> list[int]:
    return [int(number) for number in listed(text)]


if __name__ == "__main__":
    main()
