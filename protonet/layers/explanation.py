"""What a layer type is, in words: from its class's docstring and from the schema.

`protonet layers` prints this, and docs/layers.md is made of it.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .base import Layer
from .registry import layer_class

__all__ = ["Explanation", "Field", "Group", "explain"]


@dataclass(frozen=True, slots=True)
class Field:
    """One setting: its name, what it holds, and what it is if it is not given."""

    name: str
    kind: str
    default: str  # "default 1", "repeated", "required" or ""


@dataclass(frozen=True, slots=True)
class Group:
    """A message of settings inside the layer's text, such as pooling_param."""

    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Explanation:
    """A layer type: one sentence, the whole text, what a net may do with it, its settings."""

    name: str
    layer: type[Layer]

    @cached_property
    def text(self) -> str:
        return inspect.getdoc(self.layer) or ""

    @property
    def sentence(self) -> str:
        """The text's first sentence, without its full stop."""
        paragraph = " ".join(self.text.partition("\n\n")[0].split())
        return paragraph.split(". ")[0].removesuffix(".")

    @property
    def sections(self) -> dict[str, str]:
        """The text's parts that have a title (Shapes, Gradient, …), each on one line."""
        parts = re.split(r"^(\w[\w' ]*):[ \n]", self.text.partition("\n\n")[2], flags=re.MULTILINE)
        return {
            title: " ".join(body.split())
            for title, body in zip(parts[1::2], parts[2::2], strict=True)
        }

    @property
    def facts(self) -> tuple[str, ...]:
        return _facts(self.layer)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The messages that hold this type's settings.

        These are those that the text or the code of its class names (losses read several,
        Deconvolution that of Convolution), or else the one with the type's name.
        """
        from protonet.ir.protonet_pb2 import LayerParameter

        known = {
            field.name: field.message_type.fields
            for field in LayerParameter.DESCRIPTOR.fields
            if field.message_type is not None and field.name.endswith("_param")
        }
        named = set(re.findall(r"\b\w+_param\b(?!=)", _source(self.layer))) & known.keys()
        inner = {field.name for name in named for field in known[name]}
        own = f"{self.name.lower()}param"
        found = named - inner or {name for name in known if name.replace("_", "") == own}
        return tuple(
            Group(name, tuple(map(_field, fields)))
            for name, fields in known.items()
            if name in found
        )


def explain(type: str) -> Explanation | None:
    """Returns the explanation of a layer type, or None if there is no such type."""
    layer = layer_class(type)
    return Explanation(type, layer) if layer else None


def _facts(layer: type[Layer]) -> tuple[str, ...]:
    counts = f"bottoms: {layer.bottoms}; tops: {layer.tops}"
    if layer.equal_bottoms_and_tops:
        counts += ", as many as bottoms"
    facts = [counts]
    if layer.in_place:
        facts.append("may work in place")
    if layer.is_loss:
        facts.append("a loss: loss_weight is 1 unless given")
    return tuple(facts)


def _source(layer: type[Layer]) -> str:
    """Returns the source of a layer's own classes, "" where Python does not have it."""
    own = [c for c in layer.__mro__ if issubclass(c, Layer) and c is not Layer]
    try:
        return "".join(inspect.getsource(c) for c in own)
    except (OSError, TypeError):
        return ""


def _field(field: Any) -> Field:
    if field.is_repeated:
        default = "repeated"
    elif field.is_required:
        default = "required"
    elif field.message_type is None and field.has_default_value:
        default = f"default {_default(field)}"
    else:
        default = ""
    return Field(field.name, _kind(field), default)


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
