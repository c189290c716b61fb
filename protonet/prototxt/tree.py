"""The tree between parsing and binding: what the text says before it is known what it means.

Places are character offsets into the text.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from lark import Token

__all__ = [
    "Block",
    "Body",
    "Field",
    "Item",
    "List",
    "Scalar",
    "Strings",
    "Value",
    "Word",
    "split",
    "token_end",
    "token_start",
]


class Body(list["Field"]):
    """The fields of a message in the order of the text."""


class Strings(list[Token]):
    """Strings in their quotes that stand side by side and mean one string."""

    @property
    def start(self) -> int:
        return token_start(self[0])

    @property
    def end(self) -> int:
        return token_end(self[-1])


class Word(NamedTuple):
    """A number, the name of an enum value, true or false."""

    text: str
    start: int
    end: int


class Scalar(NamedTuple):
    """`name: value`"""

    name: str
    start: int
    value: Value


class Block(NamedTuple):
    """`name { fields }`, or without a name as the item of a list."""

    name: str
    start: int
    body: Body


class List(NamedTuple):
    """`name: [a, b]`"""

    name: str
    start: int
    colon: bool
    items: list[Item]


Value: TypeAlias = Strings | Word
Item: TypeAlias = Strings | Word | Block
# A token is the common `name: value` in one piece; `split` takes it apart.
Field: TypeAlias = Token | Scalar | Block | List


def split(scalar: Token) -> Scalar:
    """Take a `name: value` token apart."""
    name, _, text = scalar.partition(":")
    text = text.lstrip(" \t")
    start = token_start(scalar)
    value_start = start + len(scalar) - len(text)
    value: Value
    if text[0] in "\"'":
        value = Strings([Token("STRING", text, value_start)])
    else:
        value = Word(text, value_start, value_start + len(text))
    return Scalar(name.rstrip(" \t"), start, value)


def token_start(token: Token) -> int:
    """Give the offset of a token in the text."""
    start = token.start_pos
    assert start is not None  # every token of the lexer has a place
    return start


def token_end(token: Token) -> int:
    """Give the offset behind a token in the text."""
    return token_start(token) + len(token)
