"""Writes docs/layers.md: every layer type, as `protonet layers TYPE` explains it.

python tools/docs/layer_pages.py            write the page
python tools/docs/layer_pages.py --check    exit 1 if it is not what would be written
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from protonet.layers.explanation import Explanation, Group, explain
from protonet.layers.registry import layer_class, layer_types

PAGE = Path(__file__).resolve().parents[2] / "docs" / "layers.md"

HEAD = """\
# Layers

All layer types, in alphabetical order. `protonet layers` prints this list and
`protonet layers TYPE` one of them. This page is written by `make docs` from the layers' own
docstrings and from the schema.

In shapes, N×C×H×W are images, channels, rows and columns; x is a bottom and y a top, dx and dy
their gradients. Settings stand in the message named above their table, inside the layer.
"""


def main() -> int:
    """Write the page, or compare it; the exit code says whether all is well."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--check", action="store_true", help="compare, write nothing")
    if not arguments.parse_args().check:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page(), encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
        print("docs/layers.md is not what the layers say; run `make docs`", file=sys.stderr)
        return 1
    return 0


def page() -> str:
    """Returns what docs/layers.md should hold: protonet's own types, none of other packages."""
    own = [type for type in layer_types() if _is_own(type)]
    explained = [found for found in map(explain, own) if found]
    contents = [f"| [{e.name}](#{e.name.lower()}) | {_cell(e.sentence)} |" for e in explained]
    parts = [HEAD, "\n".join(["| type | |", "| --- | --- |", *contents, ""])]
    parts += ["\n".join(_chapter(each)) for each in explained]
    return "\n".join(parts)


def _is_own(type: str) -> bool:
    layer = layer_class(type)
    return layer is not None and layer.__module__.startswith("protonet.")


def _chapter(explained: Explanation) -> Iterator[str]:
    yield f"## {explained.name}\n"
    yield f"```text\n{explained.text}\n```\n"
    yield f"{'; '.join(explained.facts)}.\n"
    for group in explained.groups:
        yield from _table(group)


def _table(group: Group) -> Iterator[str]:
    yield f"`{group.name}`\n\n| field | | |\n| --- | --- | --- |"
    for field in group.fields:
        yield f"| `{field.name}` | {_cell(field.kind)} | {_cell(field.default)} |"
    yield ""


def _cell(text: str) -> str:
    """Returns text that Markdown shows as it is, inside a table."""
    for mark in "\\|*_<[":
        text = text.replace(mark, f"\\{mark}")
    return text


if __name__ == "__main__":
    sys.exit(main())
