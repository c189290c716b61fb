"""`protonet layers`: the layer types that can be used, and what each is."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from protonet.layers.base import Layer

__all__ = ["layers"]


@click.command()
@click.argument("type", required=False, metavar="[TYPE]")
def layers(type: str | None) -> None:
    """List the layer types, or explain one: shapes, formula, parameters and their defaults."""
    from protonet.layers.registry import layer_class, layer_types
    from protonet.prototxt.diagnostics import Error, nearest

    if type is None:
        width = max(map(len, layer_types()))
        for name in layer_types():
            click.echo(f"{name:{width}}  {_first_sentence(name)}".rstrip())
        return
    found = layer_class(type)
    near = nearest(type, layer_types())
    if found is None and near is not None and near.lower() == type.lower():
        type, found = near, layer_class(near)
    if found is None:
        guess = f': did you mean "{near}"?' if near else "; `protonet layers` lists all"
        raise Error(f'there is no layer type "{type}"{guess}')
    for line in _explained(type, found):
        click.echo(line)


def _first_sentence(name: str) -> str:
    from protonet.layers.registry import layer_class

    paragraph = (inspect.getdoc(layer_class(name)) or "").split("\n\n")[0]
    return " ".join(paragraph.split()).split(". ")[0]


def _explained(name: str, layer: type[Layer]) -> Iterator[str]:
    yield _bold(name)
    yield from (f"  {line}".rstrip() for line in (inspect.getdoc(layer) or "").split("\n"))
    yield ""
    yield f"  bottoms: {layer.bottoms}; tops: {layer.tops}" + (
        ", as many as bottoms" if layer.equal_bottoms_and_tops else ""
    )
    if layer.in_place:
        yield "  may work in place"
    if layer.is_loss:
        yield "  a loss: loss_weight is 1 unless given"
    for field in _fields_of(name, layer):
        yield ""
        yield _bold(f"  {field.name} {{ … }}")
        rows = [_row(inner) for inner in field.message_type.fields]
        width = max((len(left) for left, _ in rows), default=0)
        yield from (f"    {left:{width}}  {right}".rstrip() for left, right in rows)


def _fields_of(name: str, layer: type[Layer]) -> list[Any]:
    """Returns the fields of LayerParameter that hold this type's settings.

    These are the field with the type's name (InnerProduct: inner_product_param) and those that
    the layer's code speaks of: losses read several, Deconvolution that of Convolution.
    """
    from protonet.ir.protonet_pb2 import LayerParameter

    read = set(re.findall(r"\b[a-z_]+_param\b", _source(layer)))
    return [
        field
        for field in LayerParameter.DESCRIPTOR.fields
        if field.message_type is not None
        and field.name.endswith("_param")
        and (field.name in read or field.name.replace("_", "") == f"{name.lower()}param")
    ]


def _source(layer: type[Layer]) -> str:
    """Returns the source of a layer's own classes, "" where Python does not have it."""
    from protonet.layers.base import Layer

    own = [c for c in layer.__mro__ if issubclass(c, Layer) and c is not Layer]
    try:
        return "".join(inspect.getsource(c) for c in own)
    except (OSError, TypeError):
        return ""


def _row(field: Any) -> tuple[str, str]:
    """Returns name and type of a field, and its default."""
    kind = _kind(field)
    if field.is_repeated:
        return f"{field.name}: {kind}", "repeated"
    if field.is_required:
        return f"{field.name}: {kind}", "required"
    if field.message_type is not None:
        return f"{field.name}: {kind}", ""
    return f"{field.name}: {kind}", f"default {_default(field)}" if field.has_default_value else ""


def _kind(field: Any) -> str:
    if field.message_type is not None:
        return str(field.message_type.name)
    if field.enum_type is not None:
        return " | ".join(field.enum_type.values_by_name)
    names = {
        field.TYPE_FLOAT: "float", field.TYPE_DOUBLE: "float", field.TYPE_BOOL: "bool",
        field.TYPE_STRING: "string", field.TYPE_BYTES: "bytes",
    }  # fmt: skip
    unsigned = (field.TYPE_UINT32, field.TYPE_UINT64, field.TYPE_FIXED32, field.TYPE_FIXED64)
    return names.get(field.type, "unsigned integer" if field.type in unsigned else "integer")


def _default(field: Any) -> str:
    if field.enum_type is not None:
        return str(field.enum_type.values_by_number[field.default_value].name)
    if isinstance(field.default_value, bool):
        return str(field.default_value).lower()
    if isinstance(field.default_value, float):
        return f"{field.default_value:.7g}"
    if isinstance(field.default_value, str):
        return f'"{field.default_value}"'
    return str(field.default_value)


def _bold(text: str) -> str:
    from protonet.cli.failure import colored

    return click.style(text, bold=True) if colored(sys.stdout) else text
