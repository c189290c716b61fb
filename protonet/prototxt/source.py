"""The source map: where in the text each field of a message came from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import NamedTuple

from protonet.prototxt.diagnostics import Span

__all__ = ["Extent", "Path", "SourceMap"]

Path = tuple[str | int, ...]
"""Field names from the top; after a repeated field's name its index: ("layer", 3, "name")."""


class Extent(NamedTuple):
    """Character offsets of a field: its name token, and what it is pointed at with.

    `start` and `end` hold the value of a scalar field and the name token of a message field.
    """

    key_start: int
    key_end: int
    start: int
    end: int


class SourceMap:
    """File, line and column of every field of a message that was read from text.

    Only offsets are kept; they are worked out when the first of them is asked for, and
    become lines and columns one by one.
    """

    def __init__(
        self,
        file: str = "<string>",
        text: str = "",
        extents: Callable[[], Mapping[Path, Extent]] = dict,
    ) -> None:
        self.file = file
        self.text = text
        self._find_extents = extents

    def exact(self, path: Path) -> Span | None:
        """Give the span of just this field (its value, or a message's name), None if absent.

        A repeated field named without an index stands for its first element.
        """
        extent = self._extent(path)
        return extent and self.span_between(extent.start, extent.end)

    def span(self, path: Path) -> Span:
        """Give the span of this field or of the nearest field around it that has one.

        For a path that nothing encloses this is the start of the file.
        """
        extent = self._enclosing(path)
        return self.span_between(extent.start, extent.end) if extent else self.start

    def key_span(self, path: Path) -> Span:
        """Give the span of the field's name token, of the nearest field around it else."""
        extent = self._enclosing(path)
        return self.span_between(extent.key_start, extent.key_end) if extent else self.start

    @property
    def start(self) -> Span:
        """The empty span at the start of the file."""
        return Span(self.file, 1, 1, 1, 1)

    def remapped(self, moves: Mapping[Path, Path]) -> SourceMap:
        """Give this map for a message whose fields moved: new path prefix → old path prefix.

        The longest prefix that matches wins; a path that none matches stays where it was;
        the old prefix () stands for the whole file. The offsets are shared, not copied.
        """
        return _Remapped(self, moves)

    def span_between(self, start: int, end: int) -> Span:
        """Give the span from character offset `start` up to `end` (exclusive)."""
        starts = self._line_starts
        line = bisect_right(starts, start)
        end_line = bisect_right(starts, end)
        return Span(
            self.file,
            line,
            start - starts[line - 1] + 1,
            end_line,
            end - starts[end_line - 1] + 1,
        )

    @cached_property
    def _extents(self) -> Mapping[Path, Extent]:
        extents = self._find_extents()
        self._find_extents = dict  # lets go of the tree that it was made from
        return extents

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        for line in self.text.split("\n"):
            starts.append(starts[-1] + len(line) + 1)
        starts.pop()
        return starts

    def _extent(self, path: Path) -> Extent | None:
        extents = self._extents
        return extents.get(path) or extents.get((*path, 0))

    def _enclosing(self, path: Path) -> Extent | None:
        while path:
            extent = self._extent(path)
            if extent:
                return extent
            path = path[:-1]
        return None


class _Remapped(SourceMap):
    """A source map seen through moved paths."""

    def __init__(self, origin: SourceMap, moves: Mapping[Path, Path]) -> None:
        super().__init__(origin.file, origin.text)
        self._origin = origin
        self._moves = dict(moves)

    def span_between(self, start: int, end: int) -> Span:
        return self._origin.span_between(start, end)

    def _extent(self, path: Path) -> Extent | None:
        return self._origin._extent(self._moved(path))

    def _enclosing(self, path: Path) -> Extent | None:
        return self._origin._enclosing(self._moved(path))

    def _moved(self, path: Path) -> Path:
        for length in range(len(path), -1, -1):
            old = self._moves.get(path[:length])
            if old is not None:
                return old + path[length:]
        return path
