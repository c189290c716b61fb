"""How diagnostics look on a terminal: the source line, carets under the span, notes, help."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

from protonet.prototxt.diagnostics import Diagnostic, Severity, Span
from protonet.prototxt.encoding import decoded, printable

__all__ = ["Renderer"]

_TAB_STOP = 4
_SHOWN_COLUMNS = 96
_COLUMNS_BEFORE_CARET = 40
_LARGEST_FILE_BYTES = 64 << 20
_GUTTER = 5

_RESET = "\x1b[0m"
_BOLD = "\x1b[1m"
_BLUE = "\x1b[1;34m"
_COLORS = {
    Severity.ERROR: "\x1b[1;31m",
    Severity.WARNING: "\x1b[1;33m",
    Severity.INFO: "\x1b[1;36m",
}


class Renderer:
    """Renders diagnostics, holding the lines of the files that they speak of."""

    def __init__(self, sources: Mapping[str, str], color: bool) -> None:
        self._sources = sources
        self._color = color
        self._lines: dict[str, list[str]] = {}

    def lines_of(self, diagnostics: Iterable[Diagnostic]) -> Iterator[str]:
        """Give the lines that show these diagnostics, without newlines."""
        for diagnostic in diagnostics:
            yield from self._diagnostic(diagnostic)

    def _diagnostic(self, diagnostic: Diagnostic) -> Iterator[str]:
        color = _COLORS[diagnostic.severity]
        place = f"{printable(str(diagnostic.spans[0]))}: " if diagnostic.spans else ""
        code = f"[{diagnostic.code}]" if diagnostic.code else ""
        yield (
            self._painted(place, _BOLD)
            + self._painted(f"{diagnostic.severity}{code}: ", color)
            + self._painted(printable(diagnostic.message), _BOLD)
        )
        numbers = [str(span.line) for span in diagnostic.spans]
        gutter = max([_GUTTER, *map(len, numbers)])
        shown = ""
        for index, span in enumerate(diagnostic.spans):
            if index and span.file != shown:
                yield self._painted(" " * gutter + " --> ", _BLUE) + printable(str(span))
            shown = span.file
            label = diagnostic.label if index == 0 else ""
            yield from self._source(span, gutter, "^" if index == 0 else "-", label, color)
        margin = self._painted(" " * gutter + " = ", _BLUE)
        for note in diagnostic.notes:
            yield margin + printable(note.removeprefix("= "))
        if diagnostic.help:
            yield margin + self._painted("help: ", _BOLD) + printable(diagnostic.help)

    def _source(self, span: Span, gutter: int, mark: str, label: str, color: str) -> Iterator[str]:
        as_a_whole = span.line == span.end_line == span.column == span.end_column == 1
        line = None if as_a_whole else self._line(span)  # such a file may be no text at all
        margin = self._painted(f"{'':>{gutter}} | ", _BLUE)
        if line is None:
            if label:
                yield margin + self._painted(printable(label), color)
            return
        end_column = span.end_column if span.end_line == span.line else len(line) + 1
        text, start, width = _excerpt(line, span.column - 1, end_column - 1)
        number = self._painted(f"{span.line:>{gutter}} | ", _BLUE)
        yield (number + text).rstrip()
        carets = mark * width + (f" {printable(label)}" if label else "")
        yield margin + " " * start + self._painted(carets, color if mark == "^" else _BLUE)

    def _line(self, span: Span) -> str | None:
        if span.file not in self._lines:
            text = self._sources.get(span.file)
            if text is None:
                text = _read(span.file)
            # No split for a file that could not be read: it has no lines at all.
            self._lines[span.file] = [] if text is None else text.split("\n")
        lines = self._lines[span.file]
        if not 1 <= span.line <= len(lines):
            return None
        return lines[span.line - 1].removesuffix("\r")

    def _painted(self, text: str, color: str) -> str:
        return f"{color}{text}{_RESET}" if self._color and text else text


def _read(file: str) -> str | None:
    try:
        if not os.path.isfile(file) or os.path.getsize(file) > _LARGEST_FILE_BYTES:
            return None
        with open(file, "rb") as stream:
            return decoded(stream.read())
    except (OSError, ValueError):  # ValueError: a name with a NUL in it
        return None


def _excerpt(line: str, start: int, end: int) -> tuple[str, int, int]:
    """Give the part of a line to show, and first column and width of the carets under it."""
    start = max(0, min(start, len(line)))
    end = max(start, min(end, len(line)))
    first = 0
    if len(line) > _SHOWN_COLUMNS:
        first = max(0, min(start - _COLUMNS_BEFORE_CARET, len(line) - _SHOWN_COLUMNS))
    last = min(len(line), first + _SHOWN_COLUMNS)
    shown, columns = _laid_out(line[first:last])
    head = "…" if first else ""
    tail = "…" if last < len(line) else ""
    caret = columns[start - first]
    width = max(1, columns[min(end, last) - first] - caret)
    return head + shown + tail, len(head) + caret, width


def _laid_out(text: str) -> tuple[str, list[int]]:
    """Expand tabs and make every character printable; the column where each one starts."""
    out: list[str] = []
    columns = [0]
    for character in text:
        column = columns[-1]
        shown = " " * (_TAB_STOP - column % _TAB_STOP) if character == "\t" else None
        shown = shown or printable(character)
        out.append(shown)
        columns.append(column + _width(shown))
    return "".join(out), columns


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(character)
        else 2
        if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in text
    )
