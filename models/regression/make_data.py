"""Makes points of y = sin(2x) + x/2 with a little noise: 2,000 to train and 500 to test."""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np

NOISE = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("models/regression/data"))
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    for name, count in (("train", 2000), ("test", 500)):
        x = random.uniform(-3, 3, (count, 1))
        y = np.sin(2 * x) + x / 2 + NOISE * random.normal(size=x.shape)
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["x"], file["y"] = x.astype("f4"), y.astype("f4")
        (folder / f"{name}.txt").write_text(f"{folder / name}.h5\n")


if __name__ == "__main__":
    main()
