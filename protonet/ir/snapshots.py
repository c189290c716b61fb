"""Where a solver's snapshots go."""

from __future__ import annotations

import os

from .protonet_pb2 import SolverParameter

__all__ = ["snapshot_prefix"]


def snapshot_prefix(solver: SolverParameter, file: str) -> str:
    """Give the beginning of the names of a solver's snapshots.

    This is the field of that name; without it the solver's file name without its extension;
    and if it names a folder, that file name in the folder.
    """
    stem = os.path.splitext(file)[0]
    prefix = solver.snapshot_prefix
    if not prefix:
        return stem
    return os.path.join(prefix, os.path.basename(stem)) if os.path.isdir(prefix) else prefix
