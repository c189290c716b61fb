"""The one place where a failed command becomes words for its user and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import click

__all__ = ["FAILED", "colored", "plain_failures"]

FAILED = 1
_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


@contextmanager
def plain_failures() -> Iterator[None]:
    """Turns a user's errors, Ctrl-C and a failing system into lines on stderr and an exit code.

    With `traceback` in PROTONET_DEBUG they pass through unchanged. A bug in protonet is none of
    these and keeps its traceback: that is what a report of it needs.
    """
    if "traceback" in os.environ.get("PROTONET_DEBUG", ""):
        yield
        return
    try:
        yield
    except KeyboardInterrupt:
        click.echo("protonet: interrupted", err=True)
        _leave(_INTERRUPTED)
    except BrokenPipeError:  # the reader of a pipe (`| head`) has seen enough
        _leave(FAILED)
    except OSError as error:
        click.echo(f"protonet: {_system_failure(error)}", err=True)
        _leave(FAILED)
    except MemoryError as error:
        click.echo(f"protonet: out of memory{f': {error}' if str(error) else ''}", err=True)
        _leave(FAILED)
    except Exception as error:
        # Imported now, because the reader of text that comes with it is slow to load.
        from protonet.prototxt.diagnostics import Error, render

        if not isinstance(error, Error):
            raise
        click.echo(render(error.diagnostics, color=colored(sys.stderr)), err=True)
        _leave(FAILED)


def _system_failure(error: OSError) -> str:
    reason = (error.strerror or "").lower() or str(error) or type(error).__name__
    if error.errno == errno.EMFILE:
        reason += " (raise it with `ulimit -n`)"
    names = [
        os.fsdecode(n) for n in (error.filename, error.filename2) if isinstance(n, str | bytes)
    ]
    return f"{' → '.join(names)}: {reason}" if names else reason


def colored(stream: TextIO) -> bool:
    """Says whether to write colours there."""
    return stream.isatty() and "NO_COLOR" not in os.environ


def _leave(code: int) -> None:
    """Ends the command; what cannot be written any more is not tried again at shutdown."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    raise SystemExit(code)
