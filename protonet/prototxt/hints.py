"""The help that goes with a field or value that does not fit: what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from protonet.prototxt import values
from protonet.prototxt.diagnostics import nearest
from protonet.prototxt.encoding import printable
from protonet.prototxt.schema import FieldType, Kind, MessageType
from protonet.prototxt.tree import Block, Item, Strings, Word

__all__ = ["enum_value", "expected", "layer_note", "unknown_field", "wrong_type"]

_LISTED = 10
_MENTIONED = 3
_SUFFIX = "_param"
_ROOTS = ("NetParameter", "SolverParameter", "LabelMap")

# Old names of layer types that do not follow from their letters or from a `*_param` field.
_RENAMED_TYPES = {"ABSVAL": "AbsVal", "BNLL": "BNLL", "SOFTMAX_LOSS": "SoftmaxWithLoss"}


def expected(field: FieldType) -> str:
    """Say what a field takes."""
    names = list(field.enum_numbers or ())
    if names and len(names) <= _LISTED:
        return f"one of {', '.join(names)}"
    return f"a name of {field.enum_name}" if names else field.kind.value


def enum_value(field: FieldType, word: str) -> str:
    """Help for a word that is no value of an enum."""
    names = list(field.enum_numbers or ())
    near = nearest(word, names)
    if near:
        return f"did you mean {near}?"
    if len(names) <= _LISTED:
        return f"the values are {', '.join(names)}"
    return ""


def wrong_type(owner: MessageType, field: FieldType, value: Item) -> str:
    """Help for a value of another type than its field takes."""
    if field.kind is Kind.MESSAGE:
        return f"write {field.name} {{ ... }}"
    if isinstance(value, Block):
        return f"write {field.name}: and the value"
    if isinstance(value, Word):
        return _wrong_word(owner, field, value.text)
    return _wrong_string(owner, field, value)


def _wrong_word(owner: MessageType, field: FieldType, word: str) -> str:
    if field.kind in (Kind.STRING, Kind.BYTES):
        if owner.name == "LayerParameter" and field.name == "type" and word.isupper():
            return (
                f"{word} belongs to the old form layers {{ }}; "
                f'in layer {{ }} write type: "{_todays_type(owner, word)}"'
            )
        return f'put it in quotes: {field.name}: "{printable(word[:60])}"'
    if field.kind is Kind.BOOLEAN and word.lower() in ("true", "false", "yes", "no", "on", "off"):
        return f"write {str(word.lower() in ('true', 'yes', 'on')).lower()}"
    if field.kind is Kind.INTEGER:
        try:
            number = values.number(word)
        except ValueError:
            return ""
        return f"write {int(number)}" if number.is_integer() and abs(number) < 1e15 else ""
    return ""


def _wrong_string(owner: MessageType, field: FieldType, strings: Strings) -> str:
    text = strings[0][1:-1]
    names = list(field.enum_numbers or ())
    near = nearest(text, names)
    if owner.name == "V1LayerParameter" and field.name == "type":
        todays = f'layer {{ type: "{printable(text[:60])}" ... }}'
        old = f", or the old name without quotes: type: {near}" if near else ""
        return f"layers {{ }} is the old form: write {todays}{old}"
    if near:
        return f"write {field.name}: {near}, without quotes"
    try:
        readable = field.read is not None and field.read(text) is not None
    except ValueError:
        return ""
    return f"write {field.name}: {printable(text[:60])}, without quotes" if readable else ""


def _todays_type(layer: MessageType, old: str) -> str:
    """RELU → ReLU: the letters of `relu_param`'s type ReLUParameter, else CamelCase."""
    parameter = layer.fields.get(f"{old.lower()}_param")
    if parameter and parameter.kind is Kind.MESSAGE:
        return parameter.message.name.removesuffix("Parameter")
    return _RENAMED_TYPES.get(old) or "".join(part.capitalize() for part in old.split("_"))


def unknown_field(name: str, holders: Sequence[MessageType]) -> str:
    """Help for a field that the innermost of `holders` (outermost first) does not have."""
    *outer, inner = holders
    elsewhere = ""
    inside = [f.name for f in _messages(inner) if name in f.message.fields]
    around = [holder for holder in outer if name in holder.fields]
    beside = [f.name for f in _messages(outer[-1]) if name in f.message.fields] if outer else []
    if around:
        elsewhere = f'{name} is a field of {around[-1].name}: is a "}}" missing above?'
    elif inside:
        elsewhere = f"{name} goes inside {_alternatives(inside)}"
    elif not outer and _roots_with(name, inner):
        elsewhere = f"{name} is a field of {_roots_with(name, inner)}: is this the right file?"
    elif beside:
        elsewhere = f"{name} is a field of {_alternatives(beside)}"
    near = _nearest_field(name, inner)
    if elsewhere:
        return elsewhere + (f"; or did you mean {near}?" if near else "")
    if near:
        return f"did you mean {near}?"
    if len(inner.fields) <= _LISTED:
        return f"its fields are {', '.join(inner.fields)}"
    return "it may come from a fork of Caffe that protonet does not know"


def _roots_with(name: str, root: MessageType) -> str:
    """Name the message types, of those that stand in files of their own, that have a field."""
    types = root.descriptor.file.message_types_by_name
    return " or ".join(
        kind for kind in _ROOTS if kind in types and name in types[kind].fields_by_name
    )


@lru_cache(maxsize=256)
def _nearest_field(name: str, holder: MessageType) -> str | None:
    if not name.endswith(_SUFFIX):
        return nearest(name, holder.fields)
    # What all these names share says nothing: compare the rest.
    stems = [field.removesuffix(_SUFFIX) for field in holder.fields if field.endswith(_SUFFIX)]
    stem = nearest(name.removesuffix(_SUFFIX), stems)
    return stem and stem + _SUFFIX


def _messages(holder: MessageType) -> Iterable[FieldType]:
    return (field for field in holder.fields.values() if field.kind is Kind.MESSAGE)


def _alternatives(names: Sequence[str]) -> str:
    blocks = [f"{name} {{ }}" for name in names[:_MENTIONED]]
    if len(names) > _MENTIONED:
        return f"{', '.join(blocks)} or others"
    return " or ".join(blocks)


def layer_note(holders: Iterable[Any]) -> tuple[str, ...]:
    """Say in which named message (as a layer) something is, innermost first."""
    for holder in reversed(list(holders)):
        fields = holder.DESCRIPTOR.fields_by_name
        if "name" not in fields or not isinstance(holder.name, str) or not holder.name:
            continue
        kind = holder.type if "type" in fields and holder.HasField("type") else ""
        if isinstance(kind, int):
            kind = fields["type"].enum_type.values_by_number[kind].name
        what = "layer" if "Layer" in holder.DESCRIPTOR.name else holder.DESCRIPTOR.name
        return (f'{what} "{holder.name}"' + (f" ({kind})" if kind else ""),)
    return ()
