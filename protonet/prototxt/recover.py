"""What is said about broken syntax, and how reading goes on behind it.

The parser stops at the first token that fits no rule. Here that token is explained, the
parser's stack is put into a state in which the next field can be read, and parsing goes
on: small slips (a missing colon, the wrong closing brace) are mended in place, otherwise
the broken field is dropped and reading resumes at the next field or closing brace.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lark import Token
from lark.exceptions import UnexpectedToken

from protonet.prototxt.faults import Fault, Faults, TooManyFaults, quoted
from protonet.prototxt.tree import Body, split, token_start

__all__ = ["recover"]

_OPENERS = {"OPEN": "}", "LBRACE": "}", "LESSTHAN": ">"}
_CLOSERS = {"RBRACE": "}", "MORETHAN": ">"}
_CLOSER_TYPES = {"}": "RBRACE", ">": "MORETHAN"}
_VALUES = {"NUMBER", "STRING", "UNCLOSED"}
_AFTER_NAME = {"COLON", "LBRACE", "LESSTHAN"}
_END = "$END"


def recover(text: str, error: UnexpectedToken, faults: Faults) -> tuple[Body, list[int]]:
    """Read on behind a syntax error to the end of the text.

    Gives the fields that could be read and the offsets of braces that were never closed.
    """
    recovery = _Recovery(text, error, faults)
    try:
        return recovery.run(error.token), recovery.unclosed
    except TooManyFaults:
        return Body(), []


class _Recovery:
    def __init__(self, text: str, error: UnexpectedToken, faults: Faults) -> None:
        self.unclosed: list[int] = []
        self._text = text
        self._faults = faults
        # Lark's handle on the stopped parser: its stacks of values and states.
        self._parser: Any = error.interactive_parser
        self._values: list[Any] = self._parser.parser_state.value_stack
        self._states: list[Any] = self._parser.parser_state.state_stack
        lexer: Any = self._parser.lexer_thread
        self._rest: Iterator[Token] = lexer.lex(self._parser.parser_state)
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
            if token.type == _END:
                assert body is not None  # the parser accepted the end
                return body

    def _next(self) -> Token:
        if self._pending:
            return self._pending.pop()
        return next(self._rest, None) or Token(_END, "", len(self._text))

    def _mend(self, token: Token) -> None:
        """Say what is wrong at `token` and leave the parser ready for the next one."""
        before = self._dangling()
        if token.type == _END and not before:
            self._close_all()
        elif len(before) == 1 and before[0].type == "NAME":
            self._mend_after_name(before[0], token)
        elif not before and token.type in _CLOSERS:
            self._mend_closer(token)
        else:
            self._explain(before, token)
            self._finish_or_drop()
            self._skip_to_field(token)

    def _dangling(self) -> list[Any]:
        """Give what lies on the stack above the innermost body or opening brace."""
        count = 0
        for value in reversed(self._values):
            if isinstance(value, Body) or getattr(value, "type", None) in _OPENERS:
                break
            count += 1
        return self._values[len(self._values) - count :]

    def _finish_or_drop(self) -> None:
        """Keep a field that is complete without what follows it; drop an unfinished one."""
        try:
            self._parser.feed_token(Token("SEMICOLON", ";"))
        except UnexpectedToken:
            count = len(self._dangling())
            if count:
                del self._values[-count:]
                del self._states[-count:]

    # ---- small slips -------------------------------------------------------------------

    def _mend_after_name(self, name: Token, token: Token) -> None:
        """A field name without what must follow it."""
        following = self._next()
        self._pending.append(following)
        colon = Token("COLON", ":", _end(name))
        if token.type == "STRAY" and token.startswith("="):
            self._fault(token, 'expected ":", found "="', label='use ":"')
            self._parser.feed_token(colon)
            return
        is_value = token.type in _VALUES or (
            token.type == "NAME" and following.type not in _AFTER_NAME
        )
        if is_value:
            self._faults.add(
                Fault(
                    "E001",
                    f'expected ":" after {quoted(name)}',
                    token_start(name),
                    _end(name),
                    label=f'":" is missing before {quoted(token)}',
                )
            )
            self._parser.feed_token(colon)
            self._pending.append(token)
            return
        self._explain([name], token)
        self._finish_or_drop()
        self._skip_to_field(token)

    def _mend_closer(self, token: Token) -> None:
        """A closing brace of the wrong kind, or one too many."""
        opener = self._innermost_opener()
        if opener is None:
            self._fault(
                token,
                f'unexpected "{token}": nothing is open here',
                help="remove it, or see whether a block above was closed too early",
            )
            return
        closer = _OPENERS[opener.type]
        self._fault(
            token,
            f'expected "{closer}", found "{token}"',
            also=((_end(opener) - 1, _end(opener)),),
        )
        self._parser.feed_token(Token(_CLOSER_TYPES[closer], closer, token_start(token)))

    def _innermost_opener(self) -> Token | None:
        for value in reversed(self._values):
            if getattr(value, "type", None) in _OPENERS:
                opener: Token = value
                return opener
        return None

    def _close_all(self) -> None:
        """The text ends inside blocks: close them, and remember where they were opened."""
        openers = [v for v in self._values if getattr(v, "type", None) in _OPENERS]
        end = len(self._text)
        for opener in openers:
            self.unclosed.append(_end(opener) - 1)
        self._pending.append(Token(_END, "", end))
        for opener in openers:
            closer = _OPENERS[opener.type]
            self._pending.append(Token(_CLOSER_TYPES[closer], closer, end))

    # ---- dropping a field --------------------------------------------------------------

    def _skip_to_field(self, token: Token) -> None:
        """Skip from `token` on to what can stand in a body: a field, a closing brace, the end."""
        while True:
            if token.type in ("SCALAR", "OPEN", _END) or token.type in _CLOSERS:
                # A brace that closes nothing here gets its own explanation when it is fed.
                self._pending.append(token)
                return
            if token.type == "NAME":
                following = self._next()
                self._pending.append(following)
                if following.type in _AFTER_NAME:
                    self._pending.append(token)
                    return
            elif token.type == "LBRACE":
                self._skip_block()
            token = self._next()

    def _skip_block(self) -> None:
        depth = 1
        while depth:
            token = self._next()
            if token.type in ("OPEN", "LBRACE"):
                depth += 1
            elif token.type == "RBRACE":
                depth -= 1
            elif token.type == _END:
                self._pending.append(token)
                return

    # ---- words -------------------------------------------------------------------------

    def _explain(self, before: list[Any], token: Token) -> None:
        found = "end of file" if token.type == _END else quoted(token)
        if token.type == "UNCLOSED":
            self._fault(
                token,
                "this string is not closed on its line",
                help=f"end it with {token[0]}; a string cannot go over lines, "
                "but two strings side by side are joined",
            )
        elif token.type == "STRAY" and self._explain_stray(token):
            pass
        elif token.type == "CONFLICT":
            self._fault(
                token,
                "this line is the mark of a merge conflict",
                help="keep one of the two versions and remove the marks",
            )
        elif token.type == "LSQB" and not before:
            self._fault(
                token,
                'unexpected "[": extensions ([name]: value) are not supported',
                label="expected a field name",
            )
        elif not before:
            self._fault(token, f"expected a field name, found {found}")
        elif getattr(before[0], "type", None) == "SCALAR":
            self._fault(
                token,
                f"unexpected {found} after the value of {quoted(split(before[0]).name)}",
                label="expected the next field",
            )
        else:
            self._explain_inside_field(before, token, found)

    def _explain_inside_field(self, before: list[Any], token: Token, found: str) -> None:
        name = before[0]
        kinds = [getattr(value, "type", None) for value in before]
        if len(before) == 1:
            self._fault(token, f'expected ":" or "{{" after {quoted(name)}, found {found}')
        elif "LSQB" in kinds:
            self._fault(
                token,
                f"unexpected {found} in the list of {quoted(name)}",
                label='expected "," or "]" between values, or a value',
            )
        elif kinds == ["NAME", "COLON"] or kinds[-1] == "MINUS":
            self._faults.add(
                Fault(
                    "E001",
                    f"{quoted(name)} has no value",
                    token_start(name),
                    _end(name),
                    label=f"expected a value, found {found}",
                )
            )
        else:
            self._fault(
                token,
                f"unexpected {found} after the value of {quoted(name)}",
                label="expected the next field",
            )

    def _explain_stray(self, token: Token) -> bool:
        message, help = "", ""
        if token.startswith(("//", "/*")):
            message, help = f"unexpected {quoted(token)}", "comments begin with #"
        elif token.startswith("\0"):
            message = "unexpected NUL byte"
            help = "the file is damaged, or it is not text"
        elif token.startswith("\ufeff"):
            message = "unexpected byte order mark in the middle of the text"
            help = "remove the invisible character"
        elif token[0] in "“”‘’„«»":
            message = f"unexpected {quoted(token)}"
            help = "typographic quotes do not count: use \" or '"
        elif token.startswith("$"):
            message = f"unexpected {quoted(token)}"
            help = "this looks like a template: fill in its variables first"
        if message:
            self._fault(token, message, help=help)
        return bool(message)

    def _fault(
        self,
        token: Token,
        message: str,
        *,
        label: str = "",
        help: str = "",
        also: tuple[tuple[int, int], ...] = (),
    ) -> None:
        self._faults.add(Fault("E001", message, token_start(token), _end(token), label, help, also))


def _end(token: Token) -> int:
    return token_start(token) + len(token)
