"""Writes docs/onnx.md: which layers become which ONNX operators, and back.

python tools/docs/onnx_page.py            write the page
python tools/docs/onnx_page.py --check    exit 1 if it is not what would be written
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from protonet.layers.registry import layer_types
from protonet.onnx.exporting.registry import REFUSED, layer_writers
from protonet.onnx.importing.registry import UNREADABLE, node_readers

PAGE = Path(__file__).resolve().parents[2] / "docs" / "onnx.md"

HEAD = """\
# ONNX

`protonet export onnx` writes a net as an ONNX model, `protonet import onnx` reads one as prototxt
and caffemodel. This page is written by `make docs` from the code.

Both take `--verify`: the model runs in ONNX Runtime beside the net, and a difference beyond 1e-4 of
the largest value of an output is an error (export names the first blob that differs).

`protonet convert` chooses between the two by the files' suffixes; `protonet diff` compares a net
with a model, or two models, blob by blob.
"""


def main() -> int:
    """Write the page, or compare it; the exit code says whether all is well."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--check", action="store_true", help="compare, write nothing")
    if not arguments.parse_args().check:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page(), encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
        print("docs/onnx.md is not what the code says; run tools/docs/onnx_page.py")
        return 1
    return 0


def page() -> str:
    """Returns the page's text."""
    return "\n".join([HEAD, *_out(), "", *_in()]) + "\n"


def _out() -> Iterator[str]:
    yield "## Layers as operators"
    yield ""
    yield "| layer | operators |"
    yield "| --- | --- |"
    writers = layer_writers()
    for type in layer_types():
        if type in writers:
            yield f"| {type} | {_told(writers[type])} |"
        elif type == "Input":
            yield "| Input | An input of the model. |"
        else:
            yield f"| {type} | — {REFUSED.get(type, 'not written')} |"


def _in() -> Iterator[str]:
    yield "## Operators as layers"
    yield ""
    yield "Operators whose inputs are all known beforehand are computed while reading."
    yield ""
    yield "| operator | layers |"
    yield "| --- | --- |"
    readers = node_readers()
    for kind in sorted({*readers, *UNREADABLE}):
        told = _told(readers[kind]) if kind in readers else f"— {UNREADABLE[kind]}"
        yield f"| {kind} | {told} |"


def _told(function: Callable[..., Any]) -> str:
    return " ".join((inspect.getdoc(function) or "").split())


if __name__ == "__main__":
    sys.exit(main())
