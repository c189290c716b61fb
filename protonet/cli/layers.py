"""`protonet layers`: the layer types that can be used, and what each is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from protonet.layers.explanation import Explanation

__all__ = ["layers"]


@click.command()
@click.argument("type", required=False, metavar="[TYPE]")
def layers(type: str | None) -> None:
    """List the layer types, or explain one: shapes, formula, parameters and their defaults."""
    from protonet.layers.explanation import explain
    from protonet.layers.registry import layer_types
    from protonet.prototxt.diagnostics import Error, nearest

    if type is None:
        width = max(map(len, layer_types()))
        for explained in filter(None, map(explain, layer_types())):
            click.echo(f"{explained.name:{width}}  {explained.sentence}".rstrip())
        return
    found = explain(type)
    near = nearest(type, layer_types())
    if found is None and near is not None and near.lower() == type.lower():
        found = explain(near)
    if found is None:
        guess = f': did you mean "{near}"?' if near else "; `protonet layers` lists all"
        raise Error(f'there is no layer type "{type}"{guess}')
    for line in _shown(found):
        click.echo(line)


def _shown(explained: Explanation) -> Iterator[str]:
    yield _bold(explained.name)
    yield from (f"  {line}".rstrip() for line in explained.text.split("\n"))
    yield ""
    yield from (f"  {fact}" for fact in explained.facts)
    for group in explained.groups:
        yield ""
        yield _bold(f"  {group.name} {{ … }}")
        rows = [(f"{field.name}: {field.kind}", field.default) for field in group.fields]
        width = max((len(left) for left, _ in rows), default=0)
        yield from (f"    {left:{width}}  {right}".rstrip() for left, right in rows)


def _bold(text: str) -> str:
    from protonet.cli.failure import colored

    return click.style(text, bold=True) if colored(sys.stdout) else text
