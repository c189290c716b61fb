"""Makes 200 points in two clouds that a line can tell apart, with labels −1 and 1."""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("models/perceptron/data"))
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    label = np.where(np.arange(200) % 2, 1.0, -1.0)[:, None]
    data = random.uniform(-1, 1, (200, 2)) + 2 * label
    with h5py.File(folder / "points.h5", "w") as file:
        file["data"], file["label"] = data.astype("f4"), label.astype("f4")
    (folder / "points.txt").write_text(f"{folder / 'points.h5'}\n")


if __name__ == "__main__":
    main()
