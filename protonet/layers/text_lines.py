"""Reading the small text files that some layers name."""

from __future__ import annotations

from pathlib import Path

from .base import LayerError, SourceMissing

__all__ = ["read_lines"]


def read_lines(path: str, *field: str) -> list[str]:
    """Returns a file's lines that are not empty; SourceMissing if it is not there."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SourceMissing(
            f"{path} cannot be read: {error.strerror}", field=field, code="E450"
        ) from None
    except UnicodeDecodeError:
        raise LayerError(f"{path} is no text file", field=field, code="E451") from None
    return [line for line in lines if line.strip()]
