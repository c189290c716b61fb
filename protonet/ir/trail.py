"""What an upgrade leaves behind: where fields came from, and what was said."""

from __future__ import annotations

from collections.abc import Mapping

from protonet.prototxt.diagnostics import Diagnostic, Severity
from protonet.prototxt.source import Path, SourceMap

__all__ = ["Trail"]


class Trail:
    """The source map of a message while it is changed step by step, and the diagnostics.

    `base` is the message's path in its file: () for the file itself, ("net_param",) for a net
    inside a solver. All other paths here are relative to it.
    """

    def __init__(self, source: SourceMap, base: Path = ()) -> None:
        self.source = source
        self.base = base
        self.diagnostics: list[Diagnostic] = []

    @property
    def failed(self) -> bool:
        return any(d.severity is Severity.ERROR for d in self.diagnostics)

    def moved(self, moves: Mapping[Path, Path]) -> None:
        """Note that fields moved: new path prefix → old path prefix."""
        if moves:
            self.source = self.source.remapped(
                {self.base + new: self.base + old for new, old in moves.items()}
            )

    def say(
        self,
        code: str,
        message: str,
        path: Path,
        *,
        also: tuple[Path, ...] = (),
        notes: tuple[str, ...] = (),
        help: str = "",
    ) -> None:
        """Add a diagnostic that points at the name of the field at `path`."""
        spans = tuple(self.source.key_span(self.base + p) for p in (path, *also))
        self.diagnostics.append(Diagnostic(code, message, spans, "", notes, help))

    def say_of_value(self, code: str, message: str, path: Path, *, help: str = "") -> None:
        """Add a diagnostic that points at the value of the field at `path`."""
        spans = (self.source.span(self.base + path),)
        self.diagnostics.append(Diagnostic(code, message, spans, help=help))
