"""How reading goes on behind broken syntax.

The parser stops at the first token that fits no rule. Here the parser's stack is put into
a state in which the next field can be read, and parsing goes on: small slips (a missing
colon, the wrong closing brace) are mended in place, otherwise the broken field is dropped
and reading resumes at the next field or closing brace.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lark import Token
from lark.exceptions import UnexpectedToken
from lark.parsers.lalr_interactive_parser import InteractiveParser

from protonet.prototxt.explain import explain
from protonet.prototxt.faults import Fault, Faults, TooManyFaults, quoted
from protonet.prototxt.tree import Body, token_end, token_start

__all__ = ["DEEPEST_STACK", "recover", "too_deep"]

_CLOSER_OF = {"OPEN": "}", "LBRACE": "}", "LESSTHAN": ">"}
_CLOSERS = {"}": "RBRACE", ">": "MORETHAN"}
_VALUES = {"NUMBER", "STRING", "UNCLOSED"}
_AFTER_NAME = {"COLON", "LBRACE", "LESSTHAN"}
_END = "$END"

# Where reading stops: 140 blocks or more inside each other (protobuf allows 100), so that a
# text of braces does not take the time and memory that its length asks for.
DEEPEST_STACK = 1000


def recover(
    text: str, parser: InteractiveParser, token: Token, faults: Faults
) -> tuple[Body, list[int]]:
    """Read on behind the token that broke the grammar, to the end of the text.

    Gives the fields that could be read and the offsets of braces that were never closed.
    """
    recovery = _Recovery(text, parser, faults)
    try:
        return recovery.run(token), recovery.unclosed
    except TooManyFaults:
        return _outermost(parser.parser_state.value_stack), []


def too_deep(stack: list[Any], faults: Faults) -> Body:
    """Report that blocks stand inside each other without end; give the fields before them."""
    opener = next(value for value in reversed(stack) if _is_opener(value))
    faults.add(
        Fault(
            "E008",
            "blocks are nested too deeply",
            token_start(opener),
            token_end(opener),
            help='are closing braces "}" missing above?',
        )
    )
    return _outermost(stack)


class _Recovery:
    def __init__(self, text: str, parser: InteractiveParser, faults: Faults) -> None:
        self.unclosed: list[int] = []
        self._text = text
        self._faults = faults
        self._parser = parser
        self._values: list[Any] = parser.parser_state.value_stack
        self._states: list[Any] = parser.parser_state.state_stack
        lexer: Any = parser.lexer_thread
        self._rest: Iterator[Token] = lexer.lex(parser.parser_state)
        self._pending: list[Token] = []

    def run(self, token: Token) -> Body:
        self._mend(token)
        while True:
            token = self._next()
            try:
                body: Body | None = self._parser.feed_token(token)
            except UnexpectedToken:
                self._mend(token)
                continue
            if body is not None:
                return body
            if len(self._values) > DEEPEST_STACK:
                return too_deep(self._values, self._faults)

    def _next(self) -> Token:
        if self._pending:
            return self._pending.pop()
        return next(self._rest, None) or Token(_END, "", len(self._text))

    def _peek(self) -> Token:
        token = self._next()
        self._pending.append(token)
        return token

    def _mend(self, token: Token) -> None:
        """Say what is wrong at `token` and leave the parser ready for the next one."""
        before = self._begun()
        if token.type == _END and not before:
            self._close_all()
        elif not before and token in _CLOSERS:
            self._mend_closer(token)
        elif not (len(before) == 1 and _type(before[0]) == "NAME" and self._insert(token)):
            self._faults.add(explain(before, token))
            self._finish_or_drop()
            self._skip_to_field(token)

    def _begun(self) -> list[Any]:
        """Give what has been read of a field: the stack above the innermost body or brace."""
        count = 0
        for value in reversed(self._values):
            if isinstance(value, Body) or _is_opener(value):
                break
            count += 1
        return self._values[len(self._values) - count :]

    # ---- small slips -------------------------------------------------------------------

    def _insert(self, token: Token) -> bool:
        """Mend `name value`, `name = value` and a block without its brace; False for others."""
        name: Token = self._values[-1]
        end = token_end(name)
        inserted = Token("COLON", ":", end)
        if token.type == "STRAY" and token[0] == "=":
            self._fault(token, f'expected ":", found {quoted(token)}', 'use ":"')
        elif token.type in _VALUES or (
            token.type == "NAME" and self._peek().type not in _AFTER_NAME
        ):
            missing = f'":" is missing before {quoted(token)}'
            self._fault(name, f'expected ":" after {quoted(name)}', missing)
            self._pending.append(token)
        elif token.type in ("SCALAR", "OPEN") and self._is_indented(token, name):
            self._fault(name, f'expected "{{" after {quoted(name)}')
            self._pending.append(token)
            inserted = Token("LBRACE", "{", end - 1)
        else:
            return False
        self._parser.feed_token(inserted)
        return True

    def _is_indented(self, token: Token, holder: Token) -> bool:
        """Whether a field stands on a line below and more to the right than what may hold it."""
        columns = [
            place - self._text.rfind("\n", 0, place)
            for place in (token_start(token), token_start(holder))
        ]
        on_one_line = "\n" not in self._text[token_start(holder) : token_start(token)]
        return not on_one_line and columns[0] > columns[1]

    def _mend_closer(self, token: Token) -> None:
        """A closing brace of the wrong kind closes all the same; one too many is dropped."""
        opener = next((value for value in reversed(self._values) if _is_opener(value)), None)
        if opener is None:
            self._fault(
                token,
                f'unexpected "{token}": nothing is open here',
                help="remove it, or see whether a block above was closed too early",
            )
            return
        closer = _CLOSER_OF[opener.type]
        end = token_end(opener)
        self._fault(token, f'expected "{closer}", found "{token}"', also=((end - 1, end),))
        self._parser.feed_token(Token(_CLOSERS[closer], closer, token_start(token)))

    def _close_all(self) -> None:
        """The text ends inside blocks: close them, and remember where they were opened."""
        end = len(self._text)
        self._pending.append(Token(_END, "", end))
        for opener in filter(_is_opener, self._values):
            self.unclosed.append(token_end(opener) - 1)
            closer = _CLOSER_OF[opener.type]
            self._pending.append(Token(_CLOSERS[closer], closer, end))

    # ---- dropping a field --------------------------------------------------------------

    def _finish_or_drop(self) -> None:
        """Keep a field that is complete without what follows it; drop an unfinished one."""
        try:
            self._parser.feed_token(Token("SEMICOLON", ";"))
        except UnexpectedToken:
            count = len(self._begun())
            if count:
                del self._values[-count:]
                del self._states[-count:]

    def _skip_to_field(self, token: Token) -> None:
        """Skip from `token` on to what can stand in a body: a field, a closing brace, the end."""
        while True:
            if token.type in ("SCALAR", "OPEN", _END) or token in _CLOSERS:
                break
            if token.type == "NAME" and self._peek().type in _AFTER_NAME:
                break
            if token.type == "LBRACE":
                self._skip_block()
            token = self._next()
        self._pending.append(token)

    def _skip_block(self) -> None:
        depth = 1
        while depth and self._peek().type != _END:
            token = self._next()
            if token.type in ("OPEN", "LBRACE"):
                depth += 1
            elif token.type == "RBRACE":
                depth -= 1

    def _fault(
        self,
        token: Token,
        message: str,
        label: str = "",
        help: str = "",
        also: tuple[tuple[int, int], ...] = (),
    ) -> None:
        start, end = token_start(token), token_end(token)
        self._faults.add(Fault("E001", message, start, end, label, help, also))


def _type(value: Any) -> str | None:
    return value.type if isinstance(value, Token) else None


def _is_opener(value: Any) -> bool:
    return _type(value) in _CLOSER_OF


def _outermost(stack: list[Any]) -> Body:
    return stack[0] if stack and isinstance(stack[0], Body) else Body()
