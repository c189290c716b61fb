"""Where two messages of the same kind say different things."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

__all__ = ["Change", "changes"]


@dataclass(frozen=True)
class Change:
    """A field of a layer, and what it says on either side."""

    layer: str
    field: str
    a: str
    b: str

    def __str__(self) -> str:
        return f"{self.layer}: {self.field} {self.a} → {self.b}"


def changes(layer: str, a: Message, b: Message, leave_out: frozenset[str]) -> Iterator[Change]:
    """Yields the fields with other values; one that is not set counts as its default."""
    for field, one, other in _differing(a, b, leave_out):
        yield Change(layer, field, one, other)


def _differing(
    a: Any, b: Any, leave_out: frozenset[str] = frozenset()
) -> Iterator[tuple[str, str, str]]:
    for field in a.DESCRIPTOR.fields:
        if field.name in leave_out:
            continue
        one, other = getattr(a, field.name), getattr(b, field.name)
        is_message = field.type == FieldDescriptor.TYPE_MESSAGE
        if field.is_repeated:
            one, other = list(one), list(other)
            if is_message and len(one) == len(other):
                for number, pair in enumerate(zip(one, other, strict=True)):
                    yield from _within(f"{field.name}[{number}]", *pair)
            elif one != other:
                yield field.name, _list(field, one), _list(field, other)
        elif is_message:
            if a.HasField(field.name) or b.HasField(field.name):
                yield from _within(field.name, one, other)
        elif one != other:
            yield field.name, _text(field, one), _text(field, other)


def _within(name: str, a: Any, b: Any) -> Iterator[tuple[str, str, str]]:
    for field, one, other in _differing(a, b):
        yield f"{name}.{field}", one, other


def _list(field: FieldDescriptor, values: list[Any]) -> str:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return f"{len(values)} of them"
    return f"[{', '.join(_text(field, value) for value in values)}]"


def _text(field: FieldDescriptor, value: Any) -> str:
    if field.enum_type is not None:
        return str(field.enum_type.values_by_number[value].name)
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.9g}" if isinstance(value, float) else str(value) or '""'
