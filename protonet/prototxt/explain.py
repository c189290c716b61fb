"""What is said about a token that breaks the grammar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lark import Token

from protonet.prototxt.faults import Fault, quoted
from protonet.prototxt.tree import split, token_end, token_start

__all__ = ["explain"]

_NEXT_FIELD = "expected the next field"


def explain(before: Sequence[Any], token: Token) -> Fault:
    """Say why `token` cannot stand behind `before`, the beginning of a field or nothing."""
    return _by_itself(token) or (_in_field(before, token) if before else _instead_of_field(token))


def _by_itself(token: Token) -> Fault | None:
    """What is wrong with a token wherever it stands."""
    if token.type == "UNCLOSED":
        return _fault(
            token,
            "this string is not closed on its line",
            help=f"end it with {token[0]}; a string cannot go over lines, "
            "but two strings side by side are joined",
        )
    if token.type == "CONFLICT":
        return _fault(
            token,
            "this line is the mark of a merge conflict",
            help="keep one of the two versions and remove the marks",
        )
    if token.type != "STRAY":
        return None
    if token.startswith("\0"):
        return _fault(token, "unexpected NUL byte", help="the file is damaged, or it is not text")
    if token.startswith("\ufeff"):
        return _fault(
            token,
            "unexpected byte order mark in the middle of the text",
            help="remove the invisible character",
        )
    for beginnings, help in _STRAYS.items():
        if token.startswith(beginnings):
            return _fault(token, f"unexpected {quoted(token)}", help=help)
    return None


_STRAYS = {
    ("//", "/*"): "comments begin with #",
    ("“", "”", "‘", "’", "„", "«", "»"): "typographic quotes do not count: use \" or '",
    ("(", ")"): "a list is written [a, b], a block { ... }",
    ("*", "/", "%"): "values are written out, there is no arithmetic",
    ("$",): "this looks like a template: fill in its variables first",
}


def _instead_of_field(token: Token) -> Fault:
    if token.type == "LSQB":
        return _fault(
            token,
            'unexpected "[": extensions ([name]: value) are not supported',
            label="expected a field name",
        )
    help = "a block has a name before its brace" if token.type == "LBRACE" else ""
    return _fault(token, f"expected a field name, found {_found(token)}", help=help)


def _in_field(before: Sequence[Any], token: Token) -> Fault:
    first, found = before[0], _found(token)
    types = [part.type if isinstance(part, Token) else None for part in before]
    if types[0] == "SCALAR":
        return _after_value(split(first).name, token)
    if types[0] is None:  # a whole field, read already
        return _fault(token, f"unexpected {found} after {quoted(first.name)}", _NEXT_FIELD)
    name = quoted(first)
    if len(before) == 1:
        return _fault(token, f'expected ":" or "{{" after {name}, found {found}')
    if "LSQB" in types:
        return _fault(
            token,
            f"unexpected {found} in the list of {name}",
            label='expected "," or "]" between values, or a value',
        )
    if types == ["NAME", "COLON"] or types[-1] == "MINUS":
        return _fault(first, f"{name} has no value", label=f"expected a value, found {found}")
    return _after_value(first, token)


def _after_value(name: str, token: Token) -> Fault:
    is_value = token.type in ("NUMBER", "STRING")
    return _fault(
        token,
        f"unexpected {_found(token)} after the value of {quoted(name)}",
        _NEXT_FIELD,
        f"several values are written {name}: [a, b]" if is_value else "",
    )


def _found(token: Token) -> str:
    if token.type == "$END":
        return "end of file"
    if token.type in ("SCALAR", "OPEN"):
        return quoted(token.partition("{" if token.type == "OPEN" else ":")[0].rstrip(" \t:"))
    return quoted(token)


def _fault(token: Token, message: str, label: str = "", help: str = "") -> Fault:
    return Fault("E001", message, token_start(token), token_end(token), label, help)
