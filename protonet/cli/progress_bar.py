"""A bar on the terminal for what takes a while; nothing where stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["progress_bar"]


class progress_bar:
    """Passes things through, and shows how far it is under this name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, things: Iterable[Any], count: int) -> Iterator[Any]:
        if not sys.stderr.isatty():
            yield from things
            return
        from rich.console import Console
        from rich.progress import track

        console = Console(stderr=True)
        yield from track(things, self.name, total=count, console=console, transient=True)
