"""From words and strings of the text to values: numbers, booleans, bytes.

The spellings are those that protobuf's own Python parser takes.
"""

from __future__ import annotations

import math
import re
import struct

__all__ = [
    "BadEscape",
    "boolean",
    "integer",
    "looks_like_integer",
    "number",
    "overflows",
    "unescaped",
]

_LONGEST_NUMBER = 512
_OCTAL = re.compile(r"-?0\d+")
_INTEGER = re.compile(r"[+-]?(?:[1-9][0-9_]*|0[0-7]*|0[xX][0-9A-Fa-f_]+)")
_INFINITY = re.compile(r"(-?)inf(?:inity)?f?", re.IGNORECASE)
_NAN = re.compile(r"nanf?", re.IGNORECASE)
_ESCAPE = re.compile(
    r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL
)
_CONTROL = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13}
_BOOLEANS = {
    "true": True,
    "True": True,
    "t": True,
    "1": True,
    "false": False,
    "False": False,
    "f": False,
    "0": False,
}


class BadEscape(ValueError):
    """A backslash that spells nothing: where in the string, and what was expected."""

    def __init__(self, start: int, end: int, reason: str) -> None:
        super().__init__(reason)
        self.start = start
        self.end = end
        self.reason = reason


def boolean(word: str) -> bool:
    """Read true or false. Raises ValueError."""
    value = _BOOLEANS.get(word)
    if value is None:
        raise ValueError(word)
    return value


def integer(word: str) -> int:
    """Read a whole number: decimal, 0x hexadecimal, 0 octal. Raises ValueError."""
    if len(word) > _LONGEST_NUMBER:
        raise ValueError("a number of this length fits no type")
    if _OCTAL.fullmatch(word):
        return int(word, 8)
    return int(word, 0)


def looks_like_integer(word: str) -> bool:
    """Whether a word is a whole number, of whatever size."""
    return _INTEGER.fullmatch(word) is not None


def number(word: str) -> float:
    """Read a floating point number: `1e-3`, `1.f`, `.5`, `inf`, `nan`. Raises ValueError."""
    if word[:1] in "0-" and len(word) > 1 and _OCTAL.match(word):
        raise ValueError("octal")
    try:
        return float(word)
    except ValueError:
        infinity = _INFINITY.fullmatch(word)
        if infinity:
            return float(f"{infinity[1]}inf")
        if _NAN.fullmatch(word):
            return float("nan")
        return float(word.rstrip("fF"))


def overflows(word: str, value: float, is_float32: bool) -> bool:
    """Whether a number that is written out becomes infinite in its type."""
    if math.isinf(value):
        return not _INFINITY.fullmatch(word.lstrip("+"))
    if not is_float32 or math.isnan(value):
        return False
    try:
        struct.pack("<f", value)
    except OverflowError:
        return True
    return False


def unescaped(text: str) -> tuple[bytes, tuple[int, int] | None]:
    """Give the bytes that the inside of a string spells, and its first odd backslash.

    A backslash before a character that makes no escape stands for itself (as in Windows
    paths); the place of the first such is given, None when there is none.
    Raises BadEscape, and UnicodeEncodeError for lone surrogates.
    """
    if "\\" not in text:
        return text.encode(), None
    out = bytearray()
    odd: tuple[int, int] | None = None
    end = 0
    for match in _ESCAPE.finditer(text):
        out += text[end : match.start()].encode()
        end = match.end()
        escape = match[1]
        if escape in _CONTROL:
            out.append(_CONTROL[escape])
        elif escape in "\\'\"":
            out += escape.encode()
        elif len(escape) > 1 or escape in "01234567xuUN":
            out += _coded(escape, match)
        else:
            odd = odd or match.span()
            out += match[0].encode()
    out += text[end:].encode()
    return bytes(out), odd


def _coded(escape: str, match: re.Match[str]) -> bytes:
    kind, digits = escape[0], escape[1:]
    reason = ""
    if kind == "N":
        reason = "\\N is not an escape here"
    elif kind in "xuU":
        count = {"x": "one or two", "u": "four", "U": "eight"}[kind]
        if digits and kind == "x":
            return bytes([int(digits, 16)])
        code = int(digits, 16) if digits else -1
        if 0 <= code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
            return chr(code).encode()
        reason = "not a character of Unicode" if digits else f"expected {count} hexadecimal digits"
    elif int(escape, 8) <= 0xFF:
        return bytes([int(escape, 8)])
    else:
        reason = "octal escapes end at \\377"
    raise BadEscape(*match.span(), reason)
