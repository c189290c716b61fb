"""Prototxt files are read with their places, their notes and all their errors."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from protonet.ir import (
    NetParameter,
    SolverParameter,
    read_document,
    read_net,
    read_net_document,
    read_solver,
)
from protonet.prototxt import Error, Severity

V1 = 'name: "n"\nlayers { name: "r" type: RELU bottom: "x" top: "x" }\n'


def written(folder: Path, text: str, name: str = "net.prototxt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_net_is_read_in_todays_format(tmp_path: Path) -> None:
    path = written(tmp_path, V1)
    assert [layer.type for layer in read_net(path).layer] == ["ReLU"]
    assert len(read_net(path, upgrade=False).layers) == 1


def test_a_solver_is_read_in_todays_format(tmp_path: Path) -> None:
    path = written(tmp_path, 'net: "n.prototxt"\nsolver_type: ADAM\n')
    assert read_solver(path) == SolverParameter(net="n.prototxt", type="Adam")
    assert read_solver(path, upgrade=False).solver_type == SolverParameter.ADAM


def test_places_and_notes_come_with_the_document(tmp_path: Path) -> None:
    path = written(tmp_path, V1)
    document = read_net_document(path)
    assert str(document.source.span(("layer", 0, "type"))).startswith(f"{path}:2:")
    assert [d.code for d in document.diagnostics] == ["I102"]


def test_errors_of_text_and_of_upgrade_are_told_together(tmp_path: Path) -> None:
    path = written(tmp_path, 'layers { layer { type: "cnov" } }\nnmae: "x"\n')
    with pytest.raises(Error) as caught:
        read_net(path)
    assert {d.code for d in caught.value.diagnostics} >= {"E002", "E121"}
    document = read_net_document(path, strict=False)
    assert {d.code for d in document.diagnostics} >= {"E002", "E121"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('net: "a"\nbase_lr: 0.1', SolverParameter),
        ("base_lr: 0.1", SolverParameter),
        ('train_net: "a" # layer {\nmax_iter: 3', SolverParameter),
        (
            'net_param { layer { name: "x" } layer {} layer {} layer {} }\nbase_lr: 1',
            SolverParameter,
        ),
        ('snapshot_prefix: "layer { layer { layer"\ntype: "SGD"', SolverParameter),
        ('layer { name: "net" type: "Input" }', NetParameter),
        ('name: "base_lr max_iter type"\ninput: "x"', NetParameter),
        ("debug_info: true", NetParameter),
        ("", NetParameter),
        ('layer { type: "a" snapshot: 1', NetParameter),
    ],
)
def test_nets_and_solvers_are_told_apart(
    tmp_path: Path, text: str, kind: type[NetParameter | SolverParameter]
) -> None:
    assert type(read_document(written(tmp_path, text), strict=False).message) is kind


def test_texts_that_stand_for_a_file_are_named(tmp_path: Path) -> None:
    for text, said in (
        ("version https://git-lfs.github.com/spec/v1\n", "git-LFS pointer"),
        ("<!DOCTYPE html>\n<html></html>", "a web page"),
    ):
        with pytest.raises(Error, match=said):
            read_net(written(tmp_path, text))


def test_weights_in_place_of_a_net_are_refused() -> None:
    weights = Path(__file__).resolve().parents[1] / "golden" / "nets" / "lenet.caffemodel"
    with pytest.raises(Error, match="binary"):
        read_net(weights)


def test_importing_the_room_is_quick() -> None:
    script = (
        "import sys; before = set(sys.modules); import protonet.ir\n"
        "print(sorted({'google.protobuf', 'numpy', 'h5py', 'lark'} & set(sys.modules) - before))"
    )
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_published_net_and_solver_upgrades(shared: Path) -> None:
    zoo = shared / "zoo"
    with open(zoo / "INDEX.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for row in rows:
        document = read_document(zoo / row["file"], strict=False)
        if row["kind"] in ("train", "deploy", "solver"):
            assert isinstance(document.message, SolverParameter) == (row["kind"] == "solver")
        if row["parses_bvlc"] == "yes" and isinstance(document.message, NetParameter):
            assert not document.message.layers or any(
                d.severity is Severity.ERROR for d in document.diagnostics
            )
