"""The value of strings in the text: quotes taken off, escapes resolved, neighbours joined."""

from __future__ import annotations

from protonet.prototxt.faults import quoted
from protonet.prototxt.tree import Strings, token_start
from protonet.prototxt.values import BadEscape, unescaped

__all__ = ["StringFault", "read_string"]


class StringFault(ValueError):
    """Why strings have no value, and where."""

    def __init__(self, message: str, start: int, end: int, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = end
        self.help = help


def read_string(strings: Strings, as_bytes: bool) -> tuple[str | bytes, list[StringFault]]:
    """Give the value of adjacent strings, and warnings. Raises StringFault."""
    warnings: list[StringFault] = []
    joined = bytearray()
    for token in strings:
        inside, start = token[1:-1], token_start(token) + 1
        try:
            value, odd = unescaped(inside)
        except BadEscape as error:
            raise StringFault(
                f"{quoted(inside[error.start : error.end])} is not an escape: {error.reason}",
                start + error.start,
                start + error.end,
                help="write \\\\ for a backslash, or / in paths",
            ) from None
        except UnicodeEncodeError as error:
            raise StringFault(
                "half of a surrogate pair is not a character",
                start + error.start,
                start + error.end,
            ) from None
        if odd:
            warnings.append(
                StringFault(
                    f"{quoted(inside[odd[0] : odd[1]])} is not an escape, the backslash stays",
                    start + odd[0],
                    start + odd[1],
                    help="write \\\\ for a backslash, or / in paths",
                )
            )
        joined += value
    if as_bytes:
        return bytes(joined), warnings
    try:
        return joined.decode(), warnings
    except UnicodeDecodeError:
        raise StringFault(
            "the escapes in this string do not make UTF-8 text", strings.start, strings.end
        ) from None
