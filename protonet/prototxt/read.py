"""Reading text files: what is not there or not text is said so."""

from __future__ import annotations

import os

from protonet.prototxt.diagnostics import Diagnostic, Error, Span
from protonet.prototxt.encoding import decoded

__all__ = ["read_text"]

_LARGEST_BYTES = 256 << 20
_SAMPLE_BYTES = 64 << 10
_TEXT_CONTROLS = b"\t\n\v\f\r"
_CONTROLS = bytes(code for code in range(32) if code not in _TEXT_CONTROLS)


def read_text(path: str | os.PathLike[str]) -> str:
    """Read a text file: UTF-8, single bytes of other encodings as Latin-1, no BOM.

    Raises Error when the file is missing, a folder, not readable, binary or beyond 256 MB.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            sample = stream.read(_SAMPLE_BYTES)
            _require_text(name, sample, size)
            return decoded(sample + stream.read())
    except FileNotFoundError:
        raise _error(name, "E010", "there is no such file") from None
    except IsADirectoryError:
        raise _error(name, "E010", "this is a folder, not a file") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        reason = getattr(error, "strerror", None) or str(error)
        raise _error(name, "E010", f"cannot be read: {reason}") from None


def _require_text(name: str, sample: bytes, size: int) -> None:
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _error(name, "E011", "this file is UTF-16", "save it as UTF-8")
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    if controls * 50 > len(sample):
        raise _error(
            name,
            "E011",
            "this is a binary file, not text",
            "weights (.caffemodel, .h5) and means (.binaryproto) go elsewhere; "
            "a net or solver is a text file, mostly .prototxt",
        )
    if size > _LARGEST_BYTES:
        raise _error(name, "E011", f"{size >> 20} MB is too large for a text file")


def _error(name: str, code: str, message: str, help: str = "") -> Error:
    return Error(Diagnostic(code, message, (Span(name, 1, 1, 1, 1),), help=help))
