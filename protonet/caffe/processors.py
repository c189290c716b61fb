"""Which processor computes, and how many solvers share the work: always the CPU, and one."""

from __future__ import annotations

import warnings

__all__ = [
    "has_nccl", "set_device", "set_mode_cpu", "set_mode_gpu", "set_multiprocess",
    "set_solver_count", "set_solver_rank", "solver_count", "solver_rank", "warn_of_gpu",
]  # fmt: skip

_told = False
_solvers = {"count": 1, "rank": 0}


def set_mode_cpu() -> None:
    """Computes on the CPU, as always."""


def set_mode_gpu() -> None:
    """Warns, the first time, that the CPU computes all the same."""
    warn_of_gpu("set_mode_gpu()")


def set_device(device: int) -> None:
    """Warns, the first time, that there is no GPU to choose."""
    warn_of_gpu(f"set_device({device})")


def warn_of_gpu(call: str) -> None:
    """Warns once in a process that what asks for a GPU has no effect."""
    global _told
    if not _told:
        _told = True
        warnings.warn(
            f"{call} has no effect: protonet computes on the CPU", UserWarning, stacklevel=3
        )


def has_nccl() -> bool:
    """Says whether GPUs can exchange gradients: no."""
    return False


def solver_count() -> int:
    """Returns what set_solver_count was given; 1 otherwise."""
    return _solvers["count"]


def set_solver_count(count: int) -> None:
    """Notes a number of solvers; there is one solver in a process all the same."""
    _solvers["count"] = int(count)


def solver_rank() -> int:
    """Returns what set_solver_rank was given; 0 otherwise."""
    return _solvers["rank"]


def set_solver_rank(rank: int) -> None:
    """Notes this solver's number among others; only number 0 logs, tests and takes snapshots."""
    _solvers["rank"] = int(rank)


def set_multiprocess(several: bool) -> None:
    """Takes notice that solvers run in several processes; nothing changes."""
