"""The C kernels: any name in kernels.h can be called as a function of its struct's fields.

    kernels.relu(x=x, y=y, n=x.size, slope=0.0)

Arrays are numpy arrays, C-contiguous. The kernel's variant is float if any of them is float32,
else double; a field that kernels.h calls (double) or an integer keeps that type in both. A list
of arrays fills a field that holds several. A call runs at once. Inside `with Tape() as tape:` it
is also recorded, so that `tape.replay()` runs the whole row again by one call into C, reading and
writing the same memory: a tape is good until one of the arrays is exchanged.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ._native import ffi, lib

# Of a convolution, from 1 on.
WAYS = (
    "winograd", "pixels", "direct", "columns", "tiles", "strips", "lines", "small", "strassen",
)  # fmt: skip
WAY_WINOGRAD, WAY_TILES = int(lib.WAY_WINOGRAD), int(lib.WAY_TILES)
WAY_STRIPS, WAY_LINES = int(lib.WAY_STRIPS), int(lib.WAY_LINES)

__all__ = [
    "WAYS",
    "WAY_LINES",
    "WAY_STRIPS",
    "WAY_TILES",
    "WAY_WINOGRAD",
    "Tape",
    "call",
    "choose_isa",
    "choose_threads",
    "isa",
    "pointers",
    "record",
    "threads",
]


class Tape:
    """A row of kernel calls that can be run again without Python in between."""

    def __init__(self) -> None:
        self._steps: list[tuple[Any, Any]] = []
        self._keep: list[Any] = []
        self._compiled: Any = None

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def steps(self) -> list[tuple[Any, Any]]:
        """The kernels with their arguments."""
        return self._steps

    def __enter__(self) -> Tape:
        self._outer, _recording.tape = _recording.tape, self
        return self

    def __exit__(self, *_: object) -> None:
        _recording.tape = self._outer

    def record(self, run: Any, arguments: Any, keep: Any) -> None:
        self._steps.append((run, arguments))
        self._keep.append(keep)
        self._compiled = None

    def extend(self, other: Tape) -> None:
        """Appends the other tape's steps."""
        self._steps += other._steps
        self._keep += other._keep
        self._compiled = None

    def replay(self, seconds: np.ndarray | None = None) -> None:
        """Runs all steps in order; adds each step's time to `seconds` (float64, one per step)."""
        if not self._steps:
            return
        if self._compiled is None:
            self._compiled = ffi.new("step[]", self._steps)
        lib.replay(
            self._compiled,
            len(self._steps),
            ffi.NULL if seconds is None else ffi.from_buffer("double[]", seconds),
        )


class _Recording(threading.local):
    """The tape that is running in this thread: what others run meanwhile is not on it."""

    tape: Tape | None = None


_recording = _Recording()
_BYTES = ffi.typeof("char[]")


def _pointers(fields: Mapping[str, Any], keep: list[Any]) -> tuple[dict[str, Any], bool]:
    """Turns arrays into pointers, nested structs likewise; says whether none holds floats."""
    plain: dict[str, Any] = {}
    double = True
    for name, value in fields.items():
        if isinstance(value, np.ndarray):
            if not value.flags.c_contiguous:
                raise ValueError(f"kernel argument {name!r} is not C-contiguous")
            double = double and value.dtype != np.float32
            keep.append(value)
            plain[name] = ffi.from_buffer(_BYTES, value)
        elif type(value) is int or type(value) is float:
            plain[name] = value
        elif isinstance(value, Mapping):
            plain[name], inner = _pointers(value, keep)
            double = double and inner
        elif isinstance(value, (list, tuple)) and value and isinstance(value[0], np.ndarray):
            rows, inner = _pointers({f"{name}[{i}]": each for i, each in enumerate(value)}, keep)
            plain[name] = list(rows.values())
            double = double and inner
        elif value is None:
            plain[name] = ffi.NULL
        else:
            plain[name] = value
    return plain, double


_found: dict[tuple[str, bool], tuple[Any, Any]] = {}  # a kernel and its arguments' type


def call(name: str, **fields: Any) -> None:
    """Runs kernel `name` with the fields of its struct, and records it if a tape is running."""
    keep: list[Any] = []
    plain, double = _pointers(fields, keep)
    found = _found.get((name, double))
    if found is None:
        run = lib.kernel_find(name.encode(), double)
        if run == ffi.NULL:
            raise AttributeError(f"no kernel named {name!r}")
        found = _found[name, double] = run, ffi.typeof(f"{name}_args *")
    run, kind = found
    record(run, ffi.new(kind, plain), keep)


def record(run: Any, arguments: Any, keep: Any) -> None:
    """Runs a kernel, and records it if a tape is running, which then holds on to `keep`."""
    run(arguments)
    if _recording.tape is not None:
        _recording.tape.record(run, arguments, keep)


def __getattr__(name: str) -> Callable[..., None]:
    if name.startswith("_") or lib.kernel_find(name.encode(), False) == ffi.NULL:
        raise AttributeError(f"no kernel named {name!r}")

    def kernel(**fields: Any) -> None:
        call(name, **fields)

    kernel.__name__ = name
    globals()[name] = kernel
    return kernel


def pointers(buffers: Iterable[Any]) -> Any:
    """Returns a kernel argument: the addresses of the buffers (bytes, memoryviews), which must
    outlive it."""
    return ffi.new("void *[]", [ffi.from_buffer(_BYTES, buffer) for buffer in buffers])


def isa() -> str:
    """Returns the instruction set in use: amx (avx512, and tiles in plans), avx512, avx2, neon,
    portable or scalar."""
    return str(ffi.string(lib.isa_name()).decode())


def choose_isa(name: str) -> None:
    """Uses that instruction set for all kernels called from now on; tapes keep theirs."""
    if lib.isa_choose(name.encode()):
        raise ValueError(f"this machine or build has no {name!r} kernels")
    _found.clear()


def threads() -> int:
    """Returns the number of threads that the kernels' team may use."""
    return int(lib.threads_count())


def choose_threads(count: int) -> None:
    """Sets the number of threads of the kernels' team; results do not depend on it."""
    if count < 1:
        raise ValueError(f"the number of threads must be at least 1, not {count}")
    lib.threads_choose(count)


if os.environ.get("PROTONET_ISA"):
    choose_isa(os.environ["PROTONET_ISA"])
if os.environ.get("PROTONET_THREADS"):
    choose_threads(int(os.environ["PROTONET_THREADS"]))
