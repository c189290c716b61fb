"""Trains models/mlp on all of MNIST with each of its solvers, and prints the table of its README.

    python tools/bench/mlp.py FOLDER_OF_MNIST [--threads N] [--solver NAME]

The folder holds the four IDX files, as tools/data/fetch_mnist.py gets them. Run it from the
repository's root; databases and snapshots go to a temporary folder.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from protonet import Solver, kernels, read_net, read_solver
from protonet.data.convert import idx_to_lmdb
from protonet.ir.protonet_pb2 import TEST, TRAIN
from protonet.solvers.events import NetTested

MODEL = Path("models/mlp")
SOLVERS = ("sgd", "nesterov", "adagrad", "rmsprop", "adadelta", "adam")
FILES = {TRAIN: "train", TEST: "t10k"}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("mnist", type=Path)
    options.add_argument("--threads", type=int)
    options.add_argument("--solver", choices=SOLVERS, action="append", help="only this one")
    given = options.parse_args()
    if given.threads:
        kernels.choose_threads(given.threads)
    print("| solver | base_lr | accuracy after 1,000 | 3,000 | 6,000 iterations | seconds |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        databases: dict[int, str] = {
            phase: str(Path(folder) / name) for phase, name in FILES.items()
        }
        for phase, name in FILES.items():
            images, labels = (
                given.mnist / f"{name}-{what}-ubyte.gz" for what in ("images-idx3", "labels-idx1")
            )
            idx_to_lmdb(images, labels, databases[phase])
        for name in given.solver or SOLVERS:
            file = "solver" if name == "sgd" else f"solver_{name}"
            print(row(MODEL / f"{file}.prototxt", databases, folder), flush=True)


def row(file: Path, databases: Mapping[int, str], folder: str) -> str:
    """Trains with a solver; returns its line of the table."""
    param = read_solver(file)
    net = read_net(param.net)
    for layer in net.layer:
        if layer.type == "Data":
            layer.data_param.source = databases[layer.include[0].phase]
    param.ClearField("net")
    param.net_param.CopyFrom(net)
    param.snapshot_prefix = str(Path(folder) / file.stem)
    solver = Solver(param)
    accuracy: dict[int, float] = {}

    @solver.on_test
    def note(event: NetTested) -> None:
        accuracy[event.iteration] = float(event.outputs[0].values[0])

    start = time.perf_counter()
    solver.solve()
    seconds = time.perf_counter() - start
    solver.close()
    shown = " | ".join(f"{100 * accuracy[i]:.2f} %" for i in (1000, 3000, param.max_iter))
    return f"| {param.type} | {param.base_lr:g} | {shown} | {seconds:.0f} |"


if __name__ == "__main__":
    main()
