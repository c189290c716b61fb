"""Examining a file: a net in its phases, or a solver with the nets it names."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from protonet.ir.document import Document, read_document
from protonet.ir.layer_weights import Weights
from protonet.ir.protonet_pb2 import TEST, TRAIN, NetParameter, NetState, Phase, SolverParameter
from protonet.ir.rules import net_state
from protonet.layers.base import Shape
from protonet.prototxt.diagnostics import Diagnostic, Error, Severity, Span

from .graph import Graph, build_graph
from .lints import lint, unused_tops
from .phases import meant_phases
from .weights import fit_weights

__all__ = [
    "Examination",
    "Options",
    "View",
    "examine",
    "examine_net",
    "judge_views",
    "place_in_file",
]

PHASES: tuple[int, ...] = (TRAIN, TEST)
_OF_LOST_LAYERS = frozenset({"E102", "E103", "I101", "I301"})


@dataclass(frozen=True)
class Options:
    """What to look at: phases, the state for include rules, weights that should fit."""

    phases: Sequence[int] = PHASES
    level: int = 0
    stages: Sequence[str] = ()
    weights: Weights | None = None
    known_inputs: Mapping[str, Shape] = field(default_factory=dict)


@dataclass
class View:
    """A net as one phase sees it."""

    label: str  # "TRAIN", "TEST"; of a solver "train net", "test net 0"
    graph: Graph


@dataclass
class Examination:
    """What a file is and all that was found in it; the nets of a solver are examined too."""

    file: str
    kind: str  # "net", "solver"
    diagnostics: list[Diagnostic] = field(default_factory=list)
    views: list[View] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return any(found.severity is Severity.ERROR for found in self.diagnostics)


def examine(path: str | os.PathLike[str], options: Options = Options()) -> Examination:
    """Reads and judges a net or solver file; its content tells which it is. Never raises Error."""
    file = os.fspath(path)
    try:
        document = read_document(file, strict=False)
    except Error as error:
        return Examination(file, "file", list(error.diagnostics))
    if isinstance(document.message, SolverParameter):
        from .solver import examine_solver

        return examine_solver(document, options)
    return examine_net(document, options)


def examine_net(document: Document[NetParameter], options: Options) -> Examination:
    """Judges a net that was read, in each phase that has something to do in it."""
    states = [
        (Phase.Name(phase), net_state(document.message, phase, options.level, options.stages))
        for phase in options.phases
    ]
    found = Examination(document.source.file, "net")
    if len(options.phases) > 1:
        states, found.diagnostics = meant_phases(document.message, states, document.source)
    judge_views(document, states, options, found)
    return found


def judge_views(
    document: Document[NetParameter],
    states: Sequence[tuple[str, NetState]],
    options: Options,
    found: Examination,
) -> None:
    """Adds a view of the net for each state, and all that was found, each thing once."""
    damaged = _damaged_layers(document)
    views = []
    noticed = list(document.diagnostics)
    seen: set[tuple[str, Span | str]] = set()
    for label, state in states:
        graph = build_graph(
            document.message, document.source, state, options.known_inputs,
            lenient=True, splits=False, damaged=damaged,
        )  # fmt: skip
        views.append(View(label, graph))
        diagnostics = list(graph.diagnostics)
        diagnostics += lint(graph)
        if options.weights is not None:
            diagnostics += fit_weights(graph, options.weights).diagnostics
        diagnostics = _reliable(document, diagnostics)
        new = [item for item in diagnostics if _key(item) not in seen]
        seen |= {_key(item) for item in new}
        noticed += new
    noticed += _reliable(document, unused_tops([view.graph for view in views]))
    found.diagnostics += sorted(noticed, key=place_in_file)
    found.views += views


def _key(diagnostic: Diagnostic) -> tuple[str, Span | str]:
    """Two phases tell the same mistake with other batch sizes: the place makes it the same."""
    return diagnostic.code, diagnostic.spans[0] if diagnostic.spans else diagnostic.message


def place_in_file(diagnostic: Diagnostic) -> tuple[int, int]:
    """Returns line and column, by which findings are told in order."""
    span = diagnostic.spans[0] if diagnostic.spans else None
    return (span.line, span.column) if span else (0, 0)


def _reliable(document: Document[NetParameter], diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """Leaves out what may follow from a syntax error: behind one, layers may be lost."""
    if not any(item.code == "E001" for item in document.diagnostics):
        return diagnostics
    return [item for item in diagnostics if item.code not in _OF_LOST_LAYERS]


def _damaged_layers(document: Document[NetParameter]) -> frozenset[Span]:
    """Returns the places of the layers in whose text there are errors."""
    source = document.source
    errors = [
        item.spans[0]
        for item in document.diagnostics
        if item.severity is Severity.ERROR and item.spans and item.spans[0].file == source.file
    ]
    if not errors:
        return frozenset()
    layers = {source.span(("layer", index)) for index in range(len(document.message.layer))}
    ordered = sorted(layers, key=lambda span: (span.line, span.column))
    starts = [(span.line, span.column) for span in ordered]
    found = {bisect_right(starts, (error.line, error.column)) - 1 for error in errors}
    return frozenset(ordered[index] for index in found if index >= 0)
