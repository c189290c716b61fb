"""Makes pairs of handwritten digits: images of two channels, labelled 1 if both are the same."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from protonet.data.datum import datum_bytes
from protonet.data.idx import read_idx
from protonet.data.lmdb_writer import write_lmdb


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("models/siamese/data"))
    parser.add_argument("--digits", type=Path, default=Path("models/lenet/data"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    for name in ("train", "test"):
        images = read_idx(given.digits / f"{name}-images-idx3-ubyte.gz")
        labels = read_idx(given.digits / f"{name}-labels-idx1-ubyte.gz")
        others = random.permutation(len(labels))
        half = len(labels) // 2
        # By chance one pair in ten is of the same digit; half of them are to be.
        for digit in range(10):
            places = np.flatnonzero(labels[:half] == digit)
            others[places] = random.choice(np.flatnonzero(labels == digit), len(places))
        with write_lmdb(str(given.folder / f"{name}_lmdb"), replace=True) as database:
            for number, index in enumerate(random.permutation(len(labels))):
                other = others[index]
                pair = np.stack([images[index], images[other]])
                same = int(labels[index] == labels[other])
                database.put(f"{number:08}", datum_bytes(pair, same))


if __name__ == "__main__":
    main()
