"""From text to tree, by the grammar beside this file."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedToken

from protonet.prototxt.faults import Fault, Faults
from protonet.prototxt.recover import DEEPEST_STACK, recover, too_deep
from protonet.prototxt.tree import (
    Block,
    Body,
    List,
    Scalar,
    Strings,
    Value,
    Word,
    split,
    token_end,
    token_start,
)

__all__ = ["Tree", "parse"]


_WEB_PAGE = re.compile(r"\s*(<(?:!doctype|html|\?xml))", re.IGNORECASE)


class Tree(NamedTuple):
    """What could be read of a text, and the braces `{` that were never closed (offsets)."""

    body: Body
    unclosed: list[int]


def parse(text: str, faults: Faults) -> Tree:
    """Read the text into a tree; what breaks the grammar is put into `faults` and left out."""
    page = _WEB_PAGE.match(text)
    if page:
        faults.add(
            Fault(
                "E001",
                "this is a web page or XML, not the text of a message",
                page.start(1),
                page.end(),
                help="download the file itself (on GitHub: Raw)",
            )
        )
        return Tree(Body(), [])
    parser = _grammar().parse_interactive(text, start="start")
    state: Any = parser.parser_state
    stack: list[Any] = state.value_stack
    try:
        for token in state.lexer.lex(state):
            state.feed_token(token)
            if len(stack) > DEEPEST_STACK:
                return Tree(too_deep(stack, faults), [])
        return Tree(state.feed_token(Token("$END", "", len(text)), is_end=True), [])
    except UnexpectedToken as error:
        return Tree(*recover(text, parser, error.token, faults))


@cache
def _grammar() -> Lark:
    return Lark(
        Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8"),
        start=["start", "fault"],
        parser="lalr",
        lexer="basic",
        transformer=_TreeBuilder(),
        keep_all_tokens=True,
    )


class _TreeBuilder(Transformer[Token, Body]):
    """Makes the nodes of the tree; each method is an alternative of the grammar."""

    def start(self, children: list[Any]) -> Body:
        body: Body = children[0]
        return body

    def empty(self, _: list[Any]) -> Body:
        return Body()

    def extend(self, children: list[Any]) -> Body:
        body: Body = children[0]
        body.append(children[1])
        return body

    def field(self, children: list[Any]) -> Token:
        scalar: Token = children[0]
        return scalar

    def continued_scalar(self, children: list[Any]) -> Scalar:
        name, start, value = split(children[0])
        if isinstance(value, Word):
            # Kept as it stands; binding says that a word and a string do not go together.
            value = Strings([Token("WORD", value.text, value.start)])
        return Scalar(name, start, Strings([*value, *children[1]]))

    def scalar(self, children: list[Any]) -> Scalar:
        name: Token = children[0]
        return Scalar(str(name), token_start(name), children[2])

    def opened_block(self, children: list[Any]) -> Block:
        opener: Token = children[0]
        return Block(opener[:-1].rstrip(" \t:"), token_start(opener), children[1])

    def block(self, children: list[Any]) -> Block:
        name: Token = children[0]
        return Block(str(name), token_start(name), children[-1].body)

    def listed(self, children: list[Any]) -> List:
        name: Token = children[0]
        return List(str(name), token_start(name), len(children) == 3, children[-1])

    def contents(self, children: list[Any]) -> Block:
        return Block("", token_start(children[0]), children[1])

    def no_items(self, _: list[Any]) -> list[Any]:
        return []

    def items(self, children: list[Any]) -> list[Any]:
        items: list[Any] = children[1]
        return items

    def first(self, children: list[Any]) -> list[Any]:
        return [children[0]]

    def next(self, children: list[Any]) -> list[Any]:
        items: list[Any] = children[0]
        items.append(children[-1])
        return items

    def item(self, children: list[Any]) -> Value | Block:
        item: Value | Block = children[0]
        return item

    def strings(self, children: list[Any]) -> Strings:
        return Strings(children[0])

    def word(self, children: list[Any]) -> Word:
        token: Token = children[0]
        return Word(str(token), token_start(token), token_end(token))

    def negative(self, children: list[Any]) -> Word:
        minus, token = children
        return Word(f"-{token}", token_start(minus), token_end(token))
