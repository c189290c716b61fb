"""From a message to its text, written as people write it: parse(format(m)) == m."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.message import Message

from protonet.prototxt.schema import FieldType, Kind, MessageType, message_type

__all__ = ["format_text"]

_INDENT = "  "
_ONE_LINE_COLUMNS = 72
_ONE_LINE_FIELDS = 2
_LARGEST_PLAIN_INTEGER = 1e7
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def format_text(message: Message) -> str:
    """Write a message as prototxt: two blanks per level, one field a line.

    Values come before blocks, both in the order of their field numbers; a block of one or
    two fields stands on one line. Numbers are the shortest that read back to the same
    float32 or float64, enums are names, strings keep their letters. What it writes, Caffe's
    own parser reads too.
    """
    kind = message_type(message.DESCRIPTOR)
    return "".join(f"{line}\n" for line in _lines(message, kind, ""))


def _lines(message: Any, kind: MessageType, indent: str) -> Iterator[str]:
    blocks = []
    for descriptor, value in message.ListFields():
        field = kind.fields[descriptor.name]
        items = value if field.repeated else (value,)
        if field.kind is Kind.MESSAGE:
            blocks.append((field, items))
        else:
            for item in items:
                yield f"{indent}{field.name}: {_scalar(field, item)}"
    for field, items in blocks:
        for item in items:
            line = _one_line(item, field, indent) if indent or not _is_long(item) else None
            if line is not None:
                yield line
            else:
                yield f"{indent}{field.name} {{"
                yield from _lines(item, field.message, indent + _INDENT)
                yield f"{indent}}}"


def _is_long(message: Any) -> bool:
    """Whether a block at the top (a layer) has too much to say for one line."""
    return any(descriptor.name == "name" for descriptor, _ in message.ListFields())


def _one_line(message: Any, field: FieldType, indent: str) -> str | None:
    """Give the block on one line if it is short and simple enough, None otherwise."""
    fields = message.ListFields()
    if len(fields) > _ONE_LINE_FIELDS:
        return None
    words = []
    for descriptor, value in fields:
        inner = field.message.fields[descriptor.name]
        items: Sequence[Any] = value if inner.repeated else (value,)
        if inner.kind is Kind.MESSAGE or len(items) > _ONE_LINE_COLUMNS:
            return None
        words += [f"{inner.name}: {_scalar(inner, item)}" for item in items]
    line = (
        f"{indent}{field.name} {{ {' '.join(words)} }}" if words else f"{indent}{field.name} {{}}"
    )
    return line if len(line) <= _ONE_LINE_COLUMNS else None


def _scalar(field: FieldType, value: Any) -> str:
    if field.kind is Kind.STRING:
        return _quoted_text(value)
    if field.kind is Kind.BYTES:
        return _quoted_bytes(value)
    if field.kind is Kind.BOOLEAN:
        return "true" if value else "false"
    if field.kind is Kind.ENUM:
        enum: Any = field.descriptor.enum_type
        name: str = enum.values_by_number[value].name
        return name
    if field.kind is Kind.FLOAT:
        return _float32(value) if field.is_float32 else _float64(value)
    return str(value)


def _float32(value: float) -> str:
    """Give the shortest decimal that reads back to the same float32."""
    plain = _plain(value)
    if plain is not None:
        return plain
    for digits in range(1, 9):
        text = f"{value:.{digits}g}"
        # A rounded-up decimal near the largest float32 may not fit one any more.
        if abs(float(text)) <= 3.4028235e38 and _as_float32(float(text)) == value:
            return _tidied(text)
    return _tidied(f"{value:.9g}")


def _float64(value: float) -> str:
    plain = _plain(value)
    return _tidied(repr(value)) if plain is None else plain


def _plain(value: float) -> str | None:
    """Give inf, nan and small whole numbers as they are written."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0.0:
        return "-0" if math.copysign(1.0, value) < 0 else "0"
    if value.is_integer() and abs(value) <= _LARGEST_PLAIN_INTEGER:
        return str(int(value))
    return None


def _as_float32(value: float) -> float:
    narrowed: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return narrowed


def _tidied(text: str) -> str:
    """1e-05 → 1e-5."""
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if e else text


def _quoted_text(text: str) -> str:
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() else _octal(character.encode())


def _quoted_bytes(value: bytes) -> str:
    characters = (_escaped(chr(code)) if code < 0x80 else _octal(bytes([code])) for code in value)
    return '"' + "".join(characters) + '"'


def _octal(data: bytes) -> str:
    return "".join(f"\\{code:03o}" for code in data)
