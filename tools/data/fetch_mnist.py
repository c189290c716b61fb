"""Fetches MNIST, 60,000 digits to train and 10,000 to test, as its four IDX files.

    python tools/data/fetch_mnist.py [FOLDER]        (default: build/mnist)

What is there and sound already is not fetched again. Each file is judged by the SHA-256 of its
unpacked bytes, because mirrors pack them differently.
"""

from __future__ import annotations

import hashlib
import sys
import urllib.error
import urllib.request
import zlib
from pathlib import Path

from protonet.ir.files import atomic_write

MIRRORS = [
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
    "https://raw.githubusercontent.com/fgnt/mnist/master",
]
FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
TIMEOUT_S = 30
MOST_BYTES = 1 << 26


def is_sound(content: bytes, digest: str) -> bool:
    """Says whether this is the gzip file whose unpacked bytes have that SHA-256."""
    try:
        unpacked = zlib.decompressobj(wbits=31).decompress(content, MOST_BYTES)
    except zlib.error:
        return False
    return hashlib.sha256(unpacked).hexdigest() == digest


def fetch(name: str, digest: str, mirrors: list[str]) -> tuple[bytes | None, list[str]]:
    """Returns the file from the first mirror that has it, and what the others said."""
    failures = []
    for mirror in mirrors:
        try:
            with urllib.request.urlopen(f"{mirror}/{name}", timeout=TIMEOUT_S) as answer:
                content = answer.read(MOST_BYTES)
        except (OSError, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            failures.append(f"{mirror}: {reason}")
            continue
        if is_sound(content, digest):
            return content, failures
        failures.append(f"{mirror}: what came is not {name}")
    return None, failures


def main(folder: Path, mirrors: list[str] = MIRRORS) -> int:
    """Fetches what is missing; returns the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    for plain_name, digest in FILES.items():
        name = f"{plain_name}.gz"
        path = folder / name
        if path.exists() and is_sound(path.read_bytes(), digest):
            print(f"{path}: already there")
            continue
        content, failures = fetch(name, digest, mirrors)
        if content is None:
            print(f"{name} cannot be fetched:", *failures, sep="\n  ", file=sys.stderr)
            print(
                f"Without internet, copy the four files into {folder} yourself and run this "
                "again: it tells whether they are sound.",
                file=sys.stderr,
            )
            return 1
        with atomic_write(path) as stream:
            stream.write(content)
        print(f"{path}: fetched")
    print("Next: models/lenet/README.md says how to train on them.")
    return 0


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        print(__doc__)
        sys.exit(0 if arguments[0] in ("-h", "--help") else 2)
    sys.exit(main(Path(*arguments or ["build/mnist"])))
