"""Tuning: the ways that convolutions can go, tried on this machine and remembered.

With PROTONET_TUNE=1 each convolution of a plan runs every way once it is compiled; the quickest is
kept, and known to later plans by its shape, in protonet/ways.json of the user's cache folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from protonet import kernels
from protonet.ir.files import atomic_write
from protonet.prototxt.diagnostics import Error

__all__ = ["is_on", "quickest_way"]

_SHAPE = (
    "n", "channels", "outputs", "group", "size", "out", "kernel", "stride", "pad", "dilation",
    "x_image", "y_image", "pool", "tiles", "mixes",
)  # fmt: skip
_ROUNDS, _SECONDS = 5, 0.01  # of a way, at least
_lock = threading.Lock()


def is_on() -> bool:
    """Says whether plans are to be tuned."""
    return os.environ.get("PROTONET_TUNE", "0") not in ("", "0")


def quickest_way(fields: Mapping[str, Any], pack: Callable[[int], tuple[int, np.ndarray]]) -> int:
    """Returns the way of a convolution (WAY_…) that takes the least time, measured or remembered.

    `fields` are the kernel's but for its arrays; `pack` lays out the weights for a way and
    returns the way that this is for, which is another one where the shape cannot go it.
    """
    weight = fields["weight"]
    shape = "; ".join(f"{name} {fields[name]}" for name in _SHAPE)
    key = f"{_processor()}, {kernels.isa()}, {kernels.threads()} threads, {weight.dtype}; {shape}"
    with _lock:
        known = _remembered()
        if known.get(key) in kernels.WAYS:
            return kernels.WAYS.index(known[key]) + 1
        times = _times(fields, pack)
        if not times:
            return 0
        best = min(times, key=lambda way: times[way])
        _remember({**known, key: kernels.WAYS[best - 1]})
        return best


def _times(
    fields: Mapping[str, Any], pack: Callable[[int], tuple[int, np.ndarray]]
) -> dict[int, float]:
    n, dtype = fields["n"], fields["weight"].dtype
    x_image = fields["x_image"] or fields["channels"] * int(np.prod(fields["size"]))
    y_image = fields["y_image"] or fields["outputs"] * int(np.prod(fields["out"]))
    x = np.random.default_rng(0).uniform(-1, 1, n * x_image).astype(dtype)
    y = np.zeros(n * y_image, dtype)
    found = {}
    for wanted in range(1, len(kernels.WAYS) + 1):
        way, packed = pack(wanted)
        if way != wanted:
            continue
        with kernels.Tape() as tape:
            given = {**fields, "x": x, "y": y, "way": way, "packed": packed}
            kernels.call("convolution", **given)
        rounds: list[float] = []
        while len(rounds) < _ROUNDS or sum(rounds) < _SECONDS:
            start = time.perf_counter()
            tape.replay()
            rounds.append(time.perf_counter() - start)
        found[way] = min(rounds)
    return found


@cache
def _processor() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _file() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "protonet" / "ways.json"


def _remembered() -> dict[str, str]:
    """Returns what is known; nothing, if the file is not there or not what was written."""
    try:
        known = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(known: Mapping[str, str]) -> None:
    """Keeps what is known; a folder that cannot be written only costs measuring again."""
    with contextlib.suppress(OSError, Error):
        _file().parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(_file()) as file:
            file.write(json.dumps(known, indent=0, sort_keys=True).encode())
