"""Reading prototxt files: text, the message it says, where each field stands, what was noticed.

Code: E311 another kind of file.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from google.protobuf.message import Message

from protonet.prototxt import parse_text_diagnosed, read_text
from protonet.prototxt.diagnostics import Diagnostic, Error, Severity
from protonet.prototxt.source import SourceMap

from .files import FilePath, place
from .foreign import recognise
from .fork_fields import fork_field_warnings
from .protonet_pb2 import NetParameter, SolverParameter
from .upgrade import upgrade_net, upgrade_solver

__all__ = [
    "Document",
    "net_document",
    "read_document",
    "read_net",
    "read_net_document",
    "read_solver",
    "read_solver_document",
    "solver_document",
]

M = TypeVar("M", bound=Message)


@dataclass
class Document(Generic[M]):
    """A message, where its fields stand in the text, and what was noticed on the way."""

    message: M
    source: SourceMap
    diagnostics: list[Diagnostic] = field(default_factory=list)


def read_net(path: FilePath, upgrade: bool = True) -> NetParameter:
    """Read a net's prototxt, in today's format unless `upgrade` is False.

    Raises Error with all the errors of the file.
    """
    return read_net_document(path, upgrade=upgrade).message


def read_solver(path: FilePath, upgrade: bool = True) -> SolverParameter:
    """Read a solver's prototxt, in today's format unless `upgrade` is False.

    Raises Error with all the errors of the file.
    """
    return read_solver_document(path, upgrade=upgrade).message


def read_net_document(
    path: FilePath, *, upgrade: bool = True, strict: bool = True
) -> Document[NetParameter]:
    """Read a net's prototxt; with `strict` errors are raised, else they are in the document."""
    return net_document(_prototxt(path), os.fspath(path), upgrade=upgrade, strict=strict)


def read_solver_document(
    path: FilePath, *, upgrade: bool = True, strict: bool = True
) -> Document[SolverParameter]:
    """Read a solver's prototxt; with `strict` errors are raised, else they are in the document."""
    return solver_document(_prototxt(path), os.fspath(path), upgrade=upgrade, strict=strict)


def read_document(
    path: FilePath, *, upgrade: bool = True, strict: bool = True
) -> Document[NetParameter] | Document[SolverParameter]:
    """Read a prototxt that is a net or a solver; its fields tell which."""
    text, file = _prototxt(path), os.fspath(path)
    if is_solver(text):
        return solver_document(text, file, upgrade=upgrade, strict=strict)
    return net_document(text, file, upgrade=upgrade, strict=strict)


def net_document(
    text: str, file: str = "<string>", *, upgrade: bool = True, strict: bool = True
) -> Document[NetParameter]:
    """Make the document of a net's text; `file` is what diagnostics call it."""
    net, source, diagnostics = parse_text_diagnosed(text, NetParameter, file)
    diagnostics = [*diagnostics, *fork_field_warnings(net, source)]
    if upgrade:
        net, source, found = upgrade_net(net, source)
        diagnostics += found
    return _checked(Document(net, source, diagnostics), strict)


def solver_document(
    text: str, file: str = "<string>", *, upgrade: bool = True, strict: bool = True
) -> Document[SolverParameter]:
    """Make the document of a solver's text; `file` is what diagnostics call it."""
    solver, source, diagnostics = parse_text_diagnosed(text, SolverParameter, file)
    diagnostics = [*diagnostics, *fork_field_warnings(solver, source)]
    if upgrade:
        solver, source, found = upgrade_solver(solver, source)
        diagnostics += found
    return _checked(Document(solver, source, diagnostics), strict)


def _prototxt(path: FilePath) -> str:
    """Read a text file, unless it is a text that stands for the file itself."""
    text = read_text(path)
    kind = recognise(text.encode())
    if kind is not None and kind.content == "other":
        message = f"this is {kind.what}, not a prototxt"
        raise Error(Diagnostic("E311", message, (place(os.fspath(path)),), help=kind.fix))
    return text


def _checked(document: Document[M], strict: bool) -> Document[M]:
    if strict and any(d.severity is Severity.ERROR for d in document.diagnostics):
        raise Error(*document.diagnostics)
    return document


_TOKEN = re.compile(
    r"""(?P<skip>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\#[^\n]*)|[{}<>]|[A-Za-z_]\w*"""
)
_NET_FIELDS = frozenset(NetParameter.DESCRIPTOR.fields_by_name)
_SOLVER_FIELDS = frozenset(SolverParameter.DESCRIPTOR.fields_by_name)
_ENOUGH = 3


def is_solver(text: str) -> bool:
    """Whether a text is more likely a solver than a net, by the fields at its top level."""
    depth = votes = 0
    for match in _TOKEN.finditer(text):
        token = match.group()
        if match["skip"]:
            continue
        if token in "{<":
            depth += 1
        elif token in "}>":
            depth -= 1
        elif depth == 0:
            votes += (token in _SOLVER_FIELDS) - (token in _NET_FIELDS)
            if abs(votes) >= _ENOUGH:
                break
    return votes > 0
