"""Nets of many authors: judged as Caffe judges them, and never with a traceback."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protonet.check.examine import Options, examine
from protonet.check.graph import Graph, build_graph
from protonet.ir.document import read_net_document
from protonet.ir.protonet_pb2 import NetState, Phase
from protonet.layers.registry import layer_class
from protonet.prototxt.diagnostics import Severity

# Caffe 1.0 refuses it too: Eltwise of 32×18 and 32×18×1×1. It was recorded with a fork.
REFUSED = {"muupan__dqn-in-the-caffe/dqn.prototxt"}


@pytest.fixture(scope="session")
def zoo(shared: Path) -> Path:
    return shared / "zoo"


def recorded(shared: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Gives the file and the phases of each net that Caffe was seen to build."""
    for path in sorted((shared / "golden" / "shapes").glob("*.json")):
        row = json.loads(path.read_text(encoding="utf-8"))
        if row["file"] not in REFUSED:
            yield row["file"], row["phases"]


def graph_of(path: Path, phase: str) -> Graph:
    document = read_net_document(str(path), strict=False)
    state = NetState(phase=Phase.Value(phase))
    return build_graph(document.message, document.source, state, lenient=True, splits=False)


def test_every_file_is_judged_without_an_exception(zoo: Path) -> None:
    with open(zoo / "INDEX.tsv", encoding="utf-8") as file:
        names = [row["file"] for row in csv.DictReader(file, delimiter="\t")]
    assert len(names) > 300
    for name in names:
        for found in examine(zoo / name).diagnostics:
            assert found.spans or found.code == "E462"


def test_shapes_and_parameters_are_those_that_caffe_made(shared: Path, zoo: Path) -> None:
    judged = 0
    for file, phases in recorded(shared):
        for phase, wanted in phases.items():
            wanted = wanted if wanted != "same" else phases["TEST" if phase == "TRAIN" else "TRAIN"]
            graph = graph_of(zoo / file, phase)
            if not all(layer_class(node.param.type) for node in graph.nodes):
                continue
            judged += 1
            shapes = dict(zip(graph.blob_names, graph.blob_shapes, strict=True))
            assert [[n, list(shapes[n] or ())] for n, _ in wanted["blobs"]] == wanted["blobs"], file
            assert [[n.param.name, n.param.type] for n in graph.nodes] == wanted["layers"], file
            assert (graph.inputs, graph.outputs) == (wanted["inputs"], wanted["outputs"]), file
            parameters = [
                [node.param.name, node.param.type, [list(p.shape) for p in node.parameters]]
                for node in graph.nodes
                if node.parameters
            ]
            assert parameters == wanted["params"], file
    assert judged > 100


def test_nets_that_caffe_builds_are_ok_and_raise_no_false_alarm(shared: Path, zoo: Path) -> None:
    told = set()
    for file, phases in recorded(shared):
        graphs = [graph_of(zoo / file, phase) for phase in phases]
        if all(layer_class(n.param.type) for graph in graphs for n in graph.nodes):
            options = Options(phases=[Phase.Value(phase) for phase in phases])
            found = examine(zoo / file, options).diagnostics
            assert not [str(d) for d in found if d.severity is Severity.ERROR]
            told |= {d.code for d in found if d.severity is Severity.WARNING}
    # Names used twice, an input without a shape, fields that nobody reads: all of it is true.
    assert told <= {"W101", "W121", "W123", "W210"}
