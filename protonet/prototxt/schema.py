"""What binding must know of a message type, drawn from its descriptor once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache, cached_property
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from protonet.prototxt import values

__all__ = ["FieldType", "Kind", "MessageType", "message_type"]


class Kind(Enum):
    """The kinds of field that text tells apart."""

    INTEGER = "a whole number"
    FLOAT = "a number"
    BOOLEAN = "true or false"
    ENUM = "a name"
    STRING = "a string in quotes"
    BYTES = "bytes as a string in quotes"
    MESSAGE = "a block { }"


_INT32 = (-(1 << 31), (1 << 31) - 1)
_INT64 = (-(1 << 63), (1 << 63) - 1)
_UINT32 = (0, (1 << 32) - 1)
_UINT64 = (0, (1 << 64) - 1)

_LIMITS = {
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_SFIXED32: _INT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SINT64: _INT64,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_UINT64: _UINT64,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
}
_KINDS = {
    FieldDescriptor.TYPE_FLOAT: Kind.FLOAT,
    FieldDescriptor.TYPE_DOUBLE: Kind.FLOAT,
    FieldDescriptor.TYPE_BOOL: Kind.BOOLEAN,
    FieldDescriptor.TYPE_ENUM: Kind.ENUM,
    FieldDescriptor.TYPE_STRING: Kind.STRING,
    FieldDescriptor.TYPE_BYTES: Kind.BYTES,
    FieldDescriptor.TYPE_MESSAGE: Kind.MESSAGE,
    FieldDescriptor.TYPE_GROUP: Kind.MESSAGE,
}


@dataclass(eq=False)
class FieldType:
    """A field: its name, its kind, and how the text of its value is read.

    `read` takes a value as it stands in the text, strings in their quotes and without
    escapes; it raises ValueError for whatever is not plainly a value of this field.
    """

    descriptor: FieldDescriptor
    name: str
    kind: Kind
    repeated: bool
    limits: tuple[int, int] = (0, 0)
    enum_numbers: dict[str, int] | None = None
    read: Callable[[str], Any] | None = None

    @cached_property
    def message(self) -> MessageType:
        """The type of a message field."""
        return message_type(self.descriptor.message_type)

    @property
    def is_float32(self) -> bool:
        """Whether the field holds a float and not a double."""
        return bool(self.descriptor.type == FieldDescriptor.TYPE_FLOAT)

    @property
    def enum_name(self) -> str:
        """The name of an enum field's type, without the package."""
        return _short_name(self.descriptor.enum_type)


@dataclass(eq=False)
class MessageType:
    """A message type: its fields by name."""

    descriptor: Descriptor
    name: str
    fields: dict[str, FieldType]
    required: tuple[str, ...]


@cache
def message_type(descriptor: Descriptor) -> MessageType:
    """Give the message type of a descriptor."""
    return MessageType(
        descriptor,
        _short_name(descriptor),
        {field.name: _field_type(field) for field in descriptor.fields},
        tuple(field.name for field in descriptor.fields if _is(field, "required", 2)),
    )


def _field_type(descriptor: FieldDescriptor) -> FieldType:
    kind = _KINDS.get(descriptor.type, Kind.INTEGER)
    field = FieldType(descriptor, descriptor.name, kind, _is(descriptor, "repeated", 3))
    if kind is Kind.INTEGER:
        field.limits = _LIMITS[descriptor.type]
        field.read = _integer_reader(*field.limits)
    elif kind is Kind.FLOAT:
        field.read = _float_reader(field.is_float32)
    elif kind is Kind.BOOLEAN:
        field.read = values.boolean
    elif kind is Kind.ENUM:
        field.enum_numbers = {v.name: v.number for v in _values(descriptor)}
        field.read = _enum_reader(field.enum_numbers)
    elif kind is Kind.STRING:
        field.read = _plain_string
    elif kind is Kind.BYTES:
        field.read = _plain_bytes
    return field


def _integer_reader(low: int, high: int) -> Callable[[str], int]:
    def read(word: str) -> int:
        value = values.integer(word)
        if low <= value <= high:
            return value
        raise ValueError(word)

    return read


def _float_reader(is_float32: bool) -> Callable[[str], float]:
    def read(word: str) -> float:
        value = values.number(word)
        if not -1e38 < value < 1e38 and values.overflows(word, value, is_float32):
            raise ValueError(word)
        return value

    return read


def _enum_reader(numbers: dict[str, int]) -> Callable[[str], int]:
    known = set(numbers.values())

    def read(word: str) -> int:
        value = numbers.get(word)
        if value is None:
            value = int(word, 0)
            if value not in known:
                raise ValueError(word)
        return value

    return read


def _plain_string(text: str) -> str:
    if text[0] in "\"'":
        return text[1:-1]
    raise ValueError(text)


def _plain_bytes(text: str) -> bytes:
    return _plain_string(text).encode()


def _values(field: FieldDescriptor) -> Any:
    return getattr(field.enum_type, "values", ())


def _is(field: FieldDescriptor, label: str, number: int) -> bool:
    """Whether a field is required or repeated; protobuf 5 says it by the label's number."""
    asked = getattr(field, f"is_{label}", None)
    return bool(getattr(field, "label", None) == number if asked is None else asked)


def _short_name(descriptor: Any) -> str:
    """The name as the schema's reader knows it: with the outer message, without the package."""
    package = descriptor.file.package
    full: str = descriptor.full_name
    return full.removeprefix(f"{package}.") if package else full
