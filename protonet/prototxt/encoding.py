"""From the bytes of a text file to its characters, and from these to what can be shown."""

from __future__ import annotations

import codecs

__all__ = ["decoded", "printable"]

_FALLBACK = "protonet.latin1"


def _as_latin1(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(_FALLBACK, _as_latin1)


def decoded(data: bytes) -> str:
    """Decode UTF-8, with or without BOM; bytes that are not UTF-8 are read as Latin-1.

    Old files carry comments and paths in national encodings; text format itself is ASCII,
    so such bytes can only stand in comments and strings, where they do no harm.
    """
    return data.removeprefix(codecs.BOM_UTF8).decode("utf-8", _FALLBACK)


def printable(text: str) -> str:
    """Replace what would move the cursor, colour the terminal or fail to encode."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else _picture(character) for character in text
    )


def _picture(character: str) -> str:
    if character < " ":
        return chr(0x2400 + ord(character))
    return "\N{SYMBOL FOR DELETE}" if character == "\x7f" else "\N{REPLACEMENT CHARACTER}"
