"""Diagnostics: what is wrong with a file, as data, and the one place that renders it.

Everything that finds a mistake in a user's file makes a `Diagnostic`; `render` shows it
with the source line and a caret, `as_json` gives the same to editors, and `Error` carries
diagnostics through Python code that cannot go on.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = [
    "Diagnostic",
    "Error",
    "Severity",
    "Span",
    "as_json",
    "nearest",
    "render",
]

_LINES_IN_EXCEPTION = 10
_LONGEST_GUESSABLE_WORD = 80


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text: 1-based lines and columns (in characters), the end exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Severity(str, Enum):
    """How bad it is: an error stops, a warning is a likely mistake, an info is a note."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    def __str__(self) -> str:
        return self.value


_SEVERITY_OF_LETTER = {"W": Severity.WARNING, "I": Severity.INFO}


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding about a user's file.

    `spans[0]` is the place itself, further spans are places that explain it; `label` is
    written after the carets; `notes` are facts, `help` is the likely fix. The severity
    follows from the code's first letter (E, W, I) unless it is given.
    """

    code: str
    message: str
    spans: tuple[Span, ...] = ()
    label: str = ""
    notes: tuple[str, ...] = ()
    help: str = ""
    severity: Severity = None  # type: ignore[assignment]  # set from the code

    def __post_init__(self) -> None:
        given: Severity | None = self.severity
        if given is None:
            severity = _SEVERITY_OF_LETTER.get(self.code[:1], Severity.ERROR)
            object.__setattr__(self, "severity", severity)

    def __str__(self) -> str:
        place = f"{self.spans[0]}: " if self.spans else ""
        kind = f"{self.severity}[{self.code}]: " if self.code else ""
        return f"{place}{kind}{self.message}"


class Error(Exception):
    """The base of every error that protonet raises about a user's input.

    Its text begins `file:line:column` where there is a file: one line per error with its
    help below, the first ten of them. A plain string is an error without a place.
    """

    __module__ = "protonet"

    def __init__(self, *diagnostics: Diagnostic | str) -> None:
        super().__init__(*diagnostics)
        self.diagnostics: tuple[Diagnostic, ...] = tuple(
            Diagnostic("", item) if isinstance(item, str) else item for item in diagnostics
        )

    def __str__(self) -> str:
        errors = [d for d in self.diagnostics if d.severity is Severity.ERROR]
        told = errors or list(self.diagnostics)
        lines: list[str] = []
        for diagnostic in told[:_LINES_IN_EXCEPTION]:
            lines.append(str(diagnostic))
            if diagnostic.help:
                lines.append(f"    help: {diagnostic.help}")
        left = len(told) - _LINES_IN_EXCEPTION
        if left > 0:
            lines.append(f"(and {left} more)")
        return "\n".join(lines)


def render(
    diagnostics: Diagnostic | Iterable[Diagnostic],
    sources: Mapping[str, str] | None = None,
    color: bool = False,
) -> str:
    """Show diagnostics as text: place, message, source line, carets, notes, help.

    `sources` gives texts by file name; a file that is not in it is read from disk, and
    when that cannot be done the source line is left out. `color` adds ANSI colours.
    """
    from protonet.prototxt.render import Renderer

    if isinstance(diagnostics, Diagnostic):
        diagnostics = [diagnostics]
    renderer = Renderer(sources or {}, color)
    return "\n".join(renderer.lines_of(diagnostics))


def as_json(diagnostics: Diagnostic | Iterable[Diagnostic]) -> str:
    """Give diagnostics as one JSON document for editors and scripts.

    `{"version": 1, "diagnostics": [{code, severity, message, label, help, notes, spans}]}`,
    each span `{file, line, column, end_line, end_column}` as in `Span`.
    """
    if isinstance(diagnostics, Diagnostic):
        diagnostics = [diagnostics]
    rows = [_row(diagnostic) for diagnostic in diagnostics]
    return json.dumps({"version": 1, "diagnostics": rows}, indent=2)


def _row(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "label": diagnostic.label,
        "help": diagnostic.help,
        "notes": list(diagnostic.notes),
        "spans": [
            {
                "file": span.file,
                "line": span.line,
                "column": span.column,
                "end_line": span.end_line,
                "end_column": span.end_column,
            }
            for span in diagnostic.spans
        ],
    }


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """Find the candidate that was most likely meant by `word`, None when none is close.

    A candidate that differs in case and separators only (`POOLING`, `kernelsize`) wins;
    then the one with most letters in common, if they are two thirds of both; then the
    first that `word` is the beginning of (`Conv`), or at least a part of (`slope`).
    """
    if not word or len(word) > _LONGEST_GUESSABLE_WORD:
        return None
    by_folded: dict[str, str] = {}
    for candidate in candidates:
        by_folded.setdefault(_folded(candidate), candidate)
    folded = _folded(word)
    if folded in by_folded:
        return by_folded[folded]
    close = difflib.get_close_matches(folded, by_folded, n=1, cutoff=2 / 3)
    if not close and len(folded) >= 3:
        close = [candidate for candidate in by_folded if candidate.startswith(folded)]
    if not close and len(folded) >= 4:
        close = [candidate for candidate in by_folded if folded in candidate]
    return by_folded[close[0]] if close else None


def _folded(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")
