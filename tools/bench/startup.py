"""Times what a user waits for before anything happens: the import, the help, the check of a net.

    python tools/bench/startup.py [--rounds 9] [NET ...]

Each is a process of its own; the median over the rounds is printed, in ms.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

LENET = Path(__file__).resolve().parents[2] / "models" / "lenet" / "train_val.prototxt"


def milliseconds(arguments: list[str], rounds: int) -> float:
    """Returns the median time of `python ARGUMENTS`."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("nets", nargs="*", default=[str(LENET)])
    given = options.parse_args()
    rows = [
        ("python alone", ["-c", "pass"]),
        ("import protonet", ["-c", "import protonet"]),
        ("protonet --help", ["-m", "protonet", "--help"]),
        *((f"protonet check {net}", ["-m", "protonet", "check", net]) for net in given.nets),
    ]
    for name, arguments in rows:
        print(f"{milliseconds(arguments, given.rounds):8.1f} ms  {name}")


if __name__ == "__main__":
    main()
