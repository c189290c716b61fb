"""A small net and solver in a folder of their own, with all that makes resuming hard: dropout,
shuffled data, batch normalisation, random inputs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from protonet.solvers import Solver
from protonet.solvers.snapshots import newest_sound

NET = """
name: "small"
layer { name: "data" type: "HDF5Data" top: "x" top: "label"
  hdf5_data_param { source: "list.txt" batch_size: 7 shuffle: true } }
layer { name: "noise" type: "DummyData" top: "noise" include { phase: TRAIN }
  dummy_data_param { shape { dim: 7 dim: 6 } data_filler { type: "gaussian" std: 0.1 } } }
layer { name: "zero" type: "DummyData" top: "noise" include { phase: TEST }
  dummy_data_param { shape { dim: 7 dim: 6 } } }
layer { name: "ip1" type: "InnerProduct" bottom: "x" top: "a"
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
layer { name: "add" type: "Eltwise" bottom: "a" bottom: "noise" top: "b" }
layer { name: "bn" type: "BatchNorm" bottom: "b" top: "b" }
layer { name: "relu" type: "ReLU" bottom: "b" top: "b" }
layer { name: "drop" type: "Dropout" bottom: "b" top: "b" }
layer { name: "ip2" type: "InnerProduct" bottom: "b" top: "y"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "y" bottom: "label" top: "accuracy"
  include { phase: TEST } }
"""

SOLVER: dict[str, Any] = {
    "net": "net.prototxt", "base_lr": 0.05, "lr_policy": "fixed", "max_iter": 20,
    "snapshot_prefix": "snapshots/small", "random_seed": 7,
}  # fmt: skip


def write_small(folder: Path, net: str = NET, **fields: Any) -> Path:
    """Writes data, net and solver; returns the solver's path. Fields of None are left out."""
    random = np.random.default_rng(3)
    centres = random.normal(size=(3, 5))
    with h5py.File(folder / "data.h5", "w") as stored:
        labels = random.integers(0, 3, 40)
        stored["label"] = labels.astype(np.float32)
        noise = random.normal(scale=0.3, size=(40, 5))
        stored["x"] = (centres[labels] + noise).astype(np.float32)
    (folder / "list.txt").write_text("data.h5\n")
    (folder / "net.prototxt").write_text(net)
    (folder / "snapshots").mkdir(exist_ok=True)
    return write_solver(folder, **fields)


def write_solver(folder: Path, name: str = "solver.prototxt", **fields: Any) -> Path:
    """Writes a solver: the usual one with these fields changed."""
    lines = []
    for key, value in {**SOLVER, **fields}.items():
        for item in value if isinstance(value, list) else [value]:
            if item is None:
                continue
            is_bare = isinstance(item, int | float) or key in ("snapshot_format", "solver_mode")
            text = str(item).lower() if isinstance(item, bool) else str(item)
            lines.append(f"{key}: {text}" if is_bare else f'{key}: "{item}"')
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


RULE_FIELDS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9, "weight_decay": 0.01},
    "Nesterov": {"momentum": 0.9},
    "AdaGrad": {},
    "RMSProp": {"rms_decay": 0.9},
    "AdaDelta": {"momentum": 0.9, "delta": 1e-6},
    "Adam": {"momentum": 0.9},
    "AdamW": {"momentum": 0.9, "weight_decay": 0.01},
}


def train_on(folder: str, solver: str = "solver.prototxt") -> None:
    """Trains in that folder from the newest sound snapshot on; for processes that get killed."""
    os.chdir(folder)
    training = Solver(solver)
    training.keep = 3
    found, _ = newest_sound(training.prefix)
    training.solve(found)
