"""The log: lines in glog's form on stderr, as many as GLOG_minloglevel lets through."""

from __future__ import annotations

import os
import sys

from protonet.solvers.text_log import log_line

__all__ = ["init_log", "log", "write_line"]

_SEVERITIES = "IWEF"
_VARIABLE = "GLOG_minloglevel"
_least: int | None = None  # None: as the environment says


def init_log(level: int = 0, stderr: bool = True) -> None:
    """Shows lines from this level on: 0 all, 1 warnings, 2 errors; on stderr in any case."""
    global _least
    _least = int(level)


def log(text: str) -> None:
    """Writes a line of information."""
    write_line(log_line(str(text)))


def write_line(line: str) -> None:
    """Writes a line that begins with its severity's letter, if its level is shown."""
    if _SEVERITIES.find(line[:1]) >= _least_level():
        print(line, file=sys.stderr, flush=True)


def _least_level() -> int:
    if _least is not None:
        return _least
    try:
        return int(os.environ.get(_VARIABLE, "0"))
    except ValueError:
        return 0
