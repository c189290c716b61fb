"""Examining a solver: the nets it names, each for the state that it will be built in.

Codes: E462 a net file that cannot be read, W463 one that is found only beside the solver,
I461 solver_mode. The solver's own settings: see solvers/checking.py.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from protonet.ir.document import Document, read_net_document
from protonet.ir.protonet_pb2 import TRAIN, NetParameter, NetState, Phase, SolverParameter
from protonet.prototxt.diagnostics import Diagnostic, Error, Severity

from .examine import Examination, Options, judge_views, place_in_file

if TYPE_CHECKING:
    from protonet.solvers.nets import NetSource

__all__ = ["examine_solver"]


def examine_solver(document: Document[SolverParameter], options: Options) -> Examination:
    """Judges a solver and its nets; a net that several phases use is read and judged once."""
    from protonet.solvers.checking import check_solver
    from protonet.solvers.nets import test_sources, train_sources

    found = Examination(document.source.file, "solver", list(document.diagnostics))
    solver = document.message
    _judge_mode(document, found)
    found.diagnostics += [
        diagnostic
        for diagnostic in check_solver(document, looks_for_nets=False)
        if not _may_be_mistyped(document, diagnostic)
    ]
    found.diagnostics.sort(key=place_in_file)
    sources = [
        source
        for source in train_sources(solver) + test_sources(solver)
        if source.phase in options.phases
    ]
    by_place: dict[str, list[NetSource]] = {}
    for source in sources:
        by_place.setdefault(source.file or repr(source.path), []).append(source)
    for group in by_place.values():
        net = _read(document, group[0], found)
        if net is None:
            continue
        states = [
            (_label(source), _state(solver, net.message, source, options)) for source in group
        ]
        judge_views(net, states, replace(options, phases=()), found)
    return found


def _state(
    solver: SolverParameter, net: NetParameter, source: NetSource, options: Options
) -> NetState:
    from protonet.solvers.nets import merged_state

    return merged_state(solver, net, source, options.level, tuple(options.stages))


def _may_be_mistyped(document: Document[SolverParameter], missing: Diagnostic) -> bool:
    """Says whether a field that is missed may be one that could not be read."""
    unread = any(item.severity is Severity.ERROR for item in document.diagnostics)
    return unread and missing.spans[:1] == (document.source.start,)


def _label(source: NetSource) -> str:
    return Phase.Name(TRAIN) if source.phase == TRAIN else f"TEST {source.number}"


def _read(
    document: Document[SolverParameter], source: NetSource, found: Examination
) -> Document[NetParameter] | None:
    """Reads a net of the solver; reports at the solver's field if that cannot be done."""
    if source.file is None:
        inner: Any = document.message
        for step in source.path:
            inner = getattr(inner, step) if isinstance(step, str) else inner[step]
        return Document(inner, document.source.remapped({(): source.path}))
    span = (document.source.span(source.path),)
    file = source.file
    if not os.path.exists(file):
        beside = _beside(document.source.file, file)
        if beside is not None:
            file = beside
            found.diagnostics.append(
                Diagnostic(
                    "W463",
                    f'"{source.file}" is not in the current folder, but {file} is there',
                    span,
                    help="names in a solver are relative to the folder where training is started",
                )
            )
    try:
        return read_net_document(file, strict=False)
    except Error as error:
        reason = error.diagnostics[0]
        found.diagnostics.append(
            Diagnostic(
                "E462",
                f"{file}: {reason.message}",
                span,
                help=reason.help
                or "names in a solver are relative to the folder where training is started",
            )
        )
        return None


def _beside(solver_file: str, net_file: str) -> str | None:
    """Returns where the net is if one goes up from the solver's folder, as its authors did."""
    folder = os.path.dirname(os.path.abspath(solver_file))
    while True:
        candidate = os.path.join(folder, net_file)
        if os.path.isfile(candidate):
            return os.path.relpath(candidate)
        if os.path.dirname(folder) == folder:
            break
        folder = os.path.dirname(folder)
    candidate = os.path.join(os.path.dirname(solver_file), os.path.basename(net_file))
    return candidate if os.path.isfile(candidate) else None


def _judge_mode(document: Document[SolverParameter], found: Examination) -> None:
    solver = document.message
    if solver.HasField("solver_mode") and solver.solver_mode == SolverParameter.GPU:
        found.diagnostics.append(
            Diagnostic(
                "I461",
                "solver_mode GPU means nothing here: protonet computes on the CPU",
                (document.source.span(("solver_mode",)),),
            )
        )
