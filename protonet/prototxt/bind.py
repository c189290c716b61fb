"""From tree to message: each field is found in the message type, read and set."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any, NamedTuple

from google.protobuf.message import Message
from lark import Token

from protonet.prototxt import hints
from protonet.prototxt.faults import Fault, Faults, TooManyFaults, quoted
from protonet.prototxt.parse import Tree
from protonet.prototxt.schema import FieldType, Kind, MessageType, message_type
from protonet.prototxt.strings import StringFault, read_string
from protonet.prototxt.tree import (
    Block,
    Body,
    Field,
    Item,
    List,
    Scalar,
    Strings,
    Word,
    split,
    token_end,
    token_start,
)
from protonet.prototxt.values import looks_like_integer, number

__all__ = ["bind"]

_DEEPEST = 100


def bind(tree: Tree, message: Message, faults: Faults) -> set[int]:
    """Fill the message from the tree; what does not fit is put into `faults` and left out.

    Gives the offsets of the values that were left out.
    """
    binder = _Binder(faults)
    with suppress(TooManyFaults):
        binder.bind(tree, message)
    return binder.rejected


class _Level(NamedTuple):
    """A message that is being filled."""

    message: Any
    type: MessageType
    body: Body
    name: str  # of the field that holds it
    start: int


class _Binder:
    def __init__(self, faults: Faults) -> None:
        self.rejected: set[int] = set()
        self._faults = faults
        self._levels: list[_Level] = []
        self._unclosed: list[int] = []
        self._closed_late = False

    def bind(self, tree: Tree, message: Message) -> None:
        self._unclosed = tree.unclosed
        kind = message_type(message.DESCRIPTOR)
        self._fill(_Level(message, kind, tree.body, kind.name, 0))
        if not self._closed_late:
            for opener in self._unclosed:
                self._faults.add(
                    Fault(
                        "E001",
                        'this "{" is never closed',
                        opener,
                        opener + 1,
                        help='a "}" is missing between here and the end of the file',
                    )
                )

    def _fill(self, level: _Level) -> None:
        self._levels.append(level)
        message, fields = level.message, level.type.fields
        seen: dict[str, Field] = {}
        for item in level.body:
            if isinstance(item, Token):
                name, _, text = item.partition(":")
                name, text = name.rstrip(), text.lstrip()
            else:
                name, text = item.name, ""
            field = fields.get(name)
            if field is None:
                if self._belongs_outside(name, item):
                    break
                self._unknown(name, _start(item))
                continue
            if not field.repeated:
                if name in seen:
                    self._given_twice(name, item, seen[name])
                    continue
                seen[name] = item
            if text and field.read:
                try:
                    value = field.read(text)
                    if field.repeated:
                        getattr(message, name).append(value)
                    else:
                        setattr(message, name, value)
                    continue
                except ValueError:
                    pass  # explained below
            self._set(message, field, split(item) if isinstance(item, Token) else item)
        for name in level.type.required:
            if name not in seen:
                self._missing(name, level)
        self._levels.pop()

    # ---- one field ---------------------------------------------------------------------

    def _set(self, message: Any, field: FieldType, item: Scalar | Block | List) -> None:
        if isinstance(item, List):
            self._set_list(message, field, item)
        else:
            self._set_item(message, field, item, item.value if isinstance(item, Scalar) else item)

    def _set_list(self, message: Any, field: FieldType, item: List) -> None:
        end = item.start + len(item.name)
        if not field.repeated:
            self.rejected.add(item.start)
            self._fault("E003", f"{field.name} takes one value and no list", item.start, end)
        elif not item.colon and field.kind is not Kind.MESSAGE:
            self.rejected.add(item.start)
            self._fault("E001", f'expected ":" after "{field.name}"', item.start, end)
        else:
            for value in item.items:
                self._set_item(message, field, item, value)

    def _set_item(
        self, message: Any, field: FieldType, item: Scalar | Block | List, value: Item
    ) -> None:
        if isinstance(value, Block):
            if field.kind is Kind.MESSAGE:
                self._set_block(message, field, value)
            else:
                self._wrong_type(field, item, value)
        elif field.kind is Kind.MESSAGE:
            self._wrong_type(field, item, value)
        elif isinstance(value, Word):
            self._set_word(message, field, item, value)
        else:
            self._set_strings(message, field, item, value)

    def _set_block(self, message: Any, field: FieldType, block: Block) -> None:
        if len(self._levels) >= _DEEPEST:
            self.rejected.add(block.start)
            self._fault(
                "E008",
                f"blocks are nested more than {_DEEPEST} deep",
                block.start,
                block.start + len(block.name or "{"),
            )
            return
        child = getattr(message, field.name)
        if field.repeated:
            child = child.add()
        else:
            child.SetInParent()
        self._fill(_Level(child, field.message, block.body, field.name, block.start))

    def _set_word(
        self, message: Any, field: FieldType, item: Scalar | Block | List, word: Word
    ) -> None:
        assert field.read is not None  # a scalar field
        try:
            value = field.read(word.text)
        except ValueError:
            self._wrong_word(message, field, item, word)
        else:
            _store(message, field, value)

    def _set_strings(
        self, message: Any, field: FieldType, item: Scalar | Block | List, strings: Strings
    ) -> None:
        if strings[0][0] not in "\"'":
            word, string = strings[:2]
            self.rejected.add(strings.start)
            self._fault(
                "E001",
                f"unexpected {quoted(string)} after {quoted(word)}",
                token_start(string),
                token_end(string),
            )
        elif field.kind not in (Kind.STRING, Kind.BYTES):
            self._wrong_type(field, item, strings)
        else:
            try:
                value, warnings = read_string(strings, field.kind is Kind.BYTES)
            except StringFault as fault:
                self.rejected.add(strings.start)
                self._fault("E012", fault.message, fault.start, fault.end, help=fault.help)
                return
            for warning in warnings:
                self._fault("W001", warning.message, warning.start, warning.end, help=warning.help)
            _store(message, field, value)

    # ---- faults ------------------------------------------------------------------------

    def _wrong_word(
        self, message: Any, field: FieldType, item: Scalar | Block | List, word: Word
    ) -> None:
        """A word that the field's type cannot read."""
        if field.kind is Kind.FLOAT:
            overflowed = _overflowed(word.text)
            if overflowed is not None:
                _store(message, field, overflowed)
                self._fault(
                    "W002",
                    f"{quoted(word.text)} is beyond what a float holds",
                    word.start,
                    word.end,
                    label=f"becomes {overflowed}",
                )
                return
        if field.kind is Kind.INTEGER and looks_like_integer(word.text):
            low, high = field.limits
            self.rejected.add(word.start)
            self._fault(
                "E004",
                f"{field.name} takes a whole number from {low} to {high}, "
                f"found {quoted(word.text)}",
                word.start,
                word.end,
            )
        elif field.kind is Kind.ENUM:
            self.rejected.add(word.start)
            self._fault(
                "E007",
                f"{quoted(word.text)} is not a value of {quoted(field.name)} ({field.enum_name})",
                word.start,
                word.end,
                help=hints.enum_value(field, word.text),
            )
        else:
            self._wrong_type(field, item, word)

    def _wrong_type(self, field: FieldType, item: Scalar | Block | List, value: Item) -> None:
        if isinstance(value, Block):
            found, start = "a block", item.start
            end = start + len(item.name)
        else:
            found = quoted(value.text if isinstance(value, Word) else " ".join(value))
            start, end = value.start, value.end
        self.rejected.add(value.start)
        owner = self._levels[-1].type
        self._fault(
            "E003",
            f"{field.name} takes {hints.expected(field)}, found {found}",
            start,
            end,
            help=hints.wrong_type(owner, field, value),
        )

    def _unknown(self, name: str, start: int) -> None:
        level = self._levels[-1]
        self._fault(
            "E002",
            f"{level.type.name} has no field {quoted(name)}",
            start,
            start + len(name),
            help=hints.unknown_field(name, [level.type for level in self._levels]),
        )

    def _belongs_outside(self, name: str, item: Field) -> bool:
        """Whether a block is here only because a closing brace above it is missing.

        Then it and all behind it are moved to where they belong.
        """
        if not self._unclosed or not isinstance(item, Block):
            return False
        for depth in range(len(self._levels) - 2, -1, -1):
            outer, held = self._levels[depth : depth + 2]
            field = outer.type.fields.get(name)
            if field is None or not field.repeated or field.kind is not Kind.MESSAGE:
                continue
            place = _place(outer.body, held.body)
            if place is None:
                return False
            inner = self._levels[-1]
            first = next(i for i, one in enumerate(inner.body) if one is item)
            outer.body[place + 1 : place + 1] = inner.body[first:]
            del inner.body[first:]
            self._closed_late = True
            self._fault(
                "E001",
                f'a "}}" is missing before this {name}',
                item.start,
                item.start + len(name),
                label=f"{inner.name} is still open here",
                also=((inner.start, inner.start + len(inner.name)),),
            )
            return True
        return False

    def _given_twice(self, name: str, item: Field, first: Field) -> None:
        start, earlier = _start(item), _start(first)
        self._fault(
            "E005",
            f"{name} is given twice",
            start,
            start + len(name),
            also=((earlier, earlier + len(name)),),
            help="keep one of the two",
        )

    def _missing(self, name: str, level: _Level) -> None:
        end = level.start + len(level.name) if len(self._levels) > 1 else level.start
        self._fault(
            "E006", f"{level.name} needs {name}", level.start, end, label=f"{name} is missing"
        )

    def _fault(
        self,
        code: str,
        message: str,
        start: int,
        end: int,
        *,
        label: str = "",
        help: str = "",
        also: tuple[tuple[int, int], ...] = (),
    ) -> None:
        named = [level.message for level in self._levels[1:]]
        self._faults.add(
            Fault(code, message, start, end, label, help, also, lambda: hints.layer_note(named))
        )


def _store(message: Any, field: FieldType, value: Any) -> None:
    if field.repeated:
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)


def _overflowed(word: str) -> float | None:
    """Give the infinity that a number becomes which is too large for a float32."""
    try:
        value = number(word)
    except ValueError:
        return None
    return math.copysign(math.inf, value)


def _place(body: Body, held: Body) -> int | None:
    """Find the block of `body` whose fields are `held`."""
    for index, item in enumerate(body):
        if isinstance(item, Block) and item.body is held:
            return index
    return None


def _start(item: Field) -> int:
    return token_start(item) if isinstance(item, Token) else item.start
