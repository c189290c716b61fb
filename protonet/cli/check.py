"""`protonet check`: what is wrong with nets and solvers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from protonet.cli.failure import FAILED, colored
from protonet.cli.net_rules import level_and_stages

if TYPE_CHECKING:
    from protonet.check.examine import Examination, View

__all__ = ["check"]


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--phase",
    type=click.Choice(["train", "test"], case_sensitive=False),
    help="Look at this phase only.",
)
@level_and_stages
@click.option("--weights", metavar="FILE", help="Trained weights that should fit the nets.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How findings are printed.",
)
def check(
    files: tuple[str, ...],
    phase: str | None,
    level: int,
    stages: tuple[str, ...],
    weights: str | None,
    form: str,
) -> None:
    """Tell what is wrong with nets and solvers, without running them.

    Each FILE is a net or a solver: its content tells which; a folder stands for all prototxt
    files in it. A net is judged in both phases; a solver with the nets that it names. Nothing is
    allocated, data sources are opened only to see the size of an item, Python layers are not run.

    Exit code 1 if there are errors; warnings and notes leave it 0.
    """
    from protonet.check.examine import PHASES, Options, examine
    from protonet.ir.protonet_pb2 import Phase
    from protonet.ir.weights import read_weights

    options = Options(
        phases=PHASES if phase is None else (Phase.Value(phase.upper()),),
        level=level,
        stages=stages,
        weights=read_weights(weights) if weights else None,
    )
    examined = [examine(file, options) for file in _files(files)]
    if form == "json":
        click.echo(json.dumps(_document(examined), indent=2))
    else:
        for examination in examined:
            _print(examination)
    if any(examination.failed for examination in examined):
        raise SystemExit(FAILED)


def _files(names: Sequence[str]) -> Iterator[str]:
    """Gives the files, and for a folder all prototxt files in it, in order."""
    for name in names:
        if not os.path.isdir(name):
            yield name
            continue
        found = sorted(str(path) for path in Path(name).rglob("*.prototxt"))
        if not found:
            from protonet.prototxt.diagnostics import Error

            raise Error(f"{name}: no prototxt files in this folder")
        yield from found


def _print(examination: Examination) -> None:
    """Prints the findings, then one line that sums the file up."""
    from protonet.prototxt.diagnostics import Severity, render

    if examination.diagnostics:
        click.echo(render(examination.diagnostics, color=colored(sys.stdout)))
    if not examination.failed:
        counts = "; ".join(_counts(view) for view in _distinct(examination.views))
        click.echo(f"{examination.file}: ok{f' ({counts})' if counts else ''}")
        return
    errors = sum(found.severity is Severity.ERROR for found in examination.diagnostics)
    warnings = sum(found.severity is Severity.WARNING for found in examination.diagnostics)
    parts = [_many(errors, "error")] + ([_many(warnings, "warning")] if warnings else [])
    click.echo(f"{examination.file}: {', '.join(parts)}")


def _distinct(views: list[View]) -> list[View]:
    """Joins views that differ in their names alone: most nets are one in both phases."""
    from protonet.check.examine import View

    found: list[View] = []
    for view in views:
        same = next((v for v in found if _numbers(v) == _numbers(view)), None)
        if same is None:
            found.append(View(view.label, view.graph))
        else:
            same.label += f" and {view.label}"
    return found


def _numbers(view: View) -> dict[str, Any]:
    from protonet.check.costs import net_costs

    graph = view.graph
    costs = net_costs(graph)
    return {
        "layers": len(graph.nodes),
        "parameters": costs.parameters if costs.complete else None,
        "inputs": {name: _shape(view, name) for name in graph.inputs},
        "outputs": {name: _shape(view, name) for name in graph.outputs},
    }


def _shape(view: View, name: str) -> list[int] | None:
    names, shapes = view.graph.blob_names, view.graph.blob_shapes
    # The last blob of the name: a name may be made anew after its first blob was consumed.
    shape = shapes[len(names) - 1 - names[::-1].index(name)]
    return None if shape is None else list(shape)


def _counts(view: View) -> str:
    numbers = _numbers(view)
    parameters = numbers["parameters"]
    parts = [
        _many(numbers["layers"], "layer"),
        "parameters not known" if parameters is None else _many(parameters, "parameter"),
    ]
    for word, blobs in (("in", numbers["inputs"]), ("out", numbers["outputs"])):
        if blobs:
            parts.append(f"{word} {', '.join(_blob(name, s) for name, s in blobs.items())}")
    return f"{view.label}: {', '.join(parts)}"


def _blob(name: str, shape: list[int] | None) -> str:
    from protonet.layers.base import shape_text

    return f"{name} {shape_text(shape) if shape is not None else '?'}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _document(examined: list[Examination]) -> dict[str, Any]:
    """As `protonet.prototxt.as_json`, and a row for each file."""
    from protonet.prototxt.diagnostics import as_json

    document: dict[str, Any] = json.loads(
        as_json(found for examination in examined for found in examination.diagnostics)
    )
    document["files"] = [
        {
            "file": os.fspath(examination.file),
            "kind": examination.kind,
            "ok": not examination.failed,
            "phases": {view.label: _numbers(view) for view in examination.views},
        }
        for examination in examined
    ]
    return document
