"""Makes streams of numbers of which a few are marked; the target is the last marked one."""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np

STREAMS, LENGTH = 25, 20
MARKED = 0.2  # of the numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("models/lstm/data"))
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    for name, sequences in (("train", 100), ("test", 10)):
        steps = sequences * LENGTH
        numbers = random.uniform(-1, 1, (steps, STREAMS))
        marks = random.uniform(size=numbers.shape) < MARKED
        begins = np.arange(steps) % LENGTH == 0
        marks[begins] = True
        target = np.zeros_like(numbers)
        for step in range(steps):
            before = target[step - 1] if step else 0
            target[step] = np.where(marks[step], numbers[step], before)
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["data"] = np.stack([numbers, marks], axis=-1).astype("f4")
            file["cont"] = np.repeat(~begins[:, None], STREAMS, axis=1).astype("f4")
            file["target"] = target[..., None].astype("f4")
        (folder / f"{name}.txt").write_text(f"{folder / name}.h5\n")


if __name__ == "__main__":
    main()
