"""Small nets as text, and what is found in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from protonet.check.examine import Examination, Options, examine
from protonet.prototxt.diagnostics import Diagnostic, Severity

DATA = 'layer { name: "data" type: "Input" top: "data" input_param { shape { %s } } }\n'


def image(*dims: int) -> str:
    """Returns an Input layer "data" of that shape, on one line."""
    return DATA % " ".join(f"dim: {size}" for size in dims)


class Checker:
    """Writes a text to a file and examines it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, text: str, name: str = "net.prototxt") -> str:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def examine(self, text: str, options: Options = Options()) -> Examination:  # noqa: B008
        return examine(self.write(text), options)

    def __call__(self, text: str, options: Options = Options()) -> list[Diagnostic]:  # noqa: B008
        return self.examine(text, options).diagnostics

    def errors(self, text: str) -> list[Diagnostic]:
        return [found for found in self(text) if found.severity is Severity.ERROR]

    def only(self, text: str, code: str) -> Diagnostic:
        """Returns the one finding of that code; there is no error besides."""
        found = self(text)
        assert [d.code for d in found if d.severity is Severity.ERROR or d.code == code] == [code]
        return next(d for d in found if d.code == code)


def at(text: str, diagnostic: Diagnostic, span: int = 0) -> str:
    """Returns what stands in the text where the diagnostic points at."""
    place = diagnostic.spans[span]
    return text.split("\n")[place.line - 1][place.column - 1 : place.end_column - 1]


@pytest.fixture
def check(tmp_path: Path) -> Checker:
    return Checker(tmp_path)
