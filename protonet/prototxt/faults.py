"""Faults of a text while it is being read, by offset; they become diagnostics at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from protonet.prototxt.diagnostics import Diagnostic
from protonet.prototxt.encoding import printable
from protonet.prototxt.source import SourceMap

__all__ = ["Fault", "Faults", "TooManyFaults", "quoted"]

# The codes of this room:
#   E001 syntax                      E007 unknown name of an enum value
#   E002 unknown field               E008 nested too deeply
#   E003 wrong type of value         E009 too many errors
#   E004 value out of range          E010 file cannot be read
#   E005 given twice                 E011 file is not text
#   E006 required field missing      E012 wrong escape or encoding in a string
#   W001 escape without meaning      W002 number beyond its type's range becomes infinite

_MOST = 500
_LONGEST_QUOTE = 60


class TooManyFaults(Exception):
    """Enough has been found; reading stops."""


def _no_notes() -> tuple[str, ...]:
    return ()


@dataclass(slots=True)
class Fault:
    """A diagnostic in the making: `start` and `end` are offsets, `also` further places.

    `notes` is asked at the end, when all that the text says is known.
    """

    code: str
    message: str
    start: int
    end: int
    label: str = ""
    help: str = ""
    also: tuple[tuple[int, int], ...] = ()
    notes: Callable[[], tuple[str, ...]] = _no_notes


class Faults:
    """The faults found so far."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Add a fault. Raises TooManyFaults when there are enough of them."""
        if len(self._faults) > _MOST:
            raise TooManyFaults
        self._faults.append(fault)
        if len(self._faults) == _MOST:
            self._faults.append(
                Fault(
                    "E009",
                    "too many errors, the rest of the file was not looked at",
                    fault.start,
                    fault.start,
                    help="is this the right file?",
                )
            )
            raise TooManyFaults

    def diagnostics(self, source: SourceMap) -> list[Diagnostic]:
        """Give the faults as diagnostics, in the order of the text."""
        # A field with broken syntax is not also told that it is unknown.
        broken = {fault.start for fault in self._faults if fault.code == "E001"}
        return [
            Diagnostic(
                fault.code,
                fault.message,
                tuple(
                    source.span_between(start, end)
                    for start, end in ((fault.start, fault.end), *fault.also)
                ),
                fault.label,
                fault.notes(),
                fault.help,
            )
            for fault in sorted(self._faults, key=lambda fault: fault.start)
            if fault.code != "E002" or fault.start not in broken
        ]


def quoted(text: str) -> str:
    """Show a piece of the user's text in a message: in quotes if it has none, not too long."""
    if len(text) > _LONGEST_QUOTE:
        text = f"{text[: _LONGEST_QUOTE - 1]}…"
    text = printable(text)
    return text if text[:1] in ("'", '"') else f'"{text}"'
