"""From the bytes of a text file to its characters."""

from __future__ import annotations

import codecs

__all__ = ["decoded"]

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
