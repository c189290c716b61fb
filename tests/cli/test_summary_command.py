"""`protonet summary`: the table, its totals, and JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from checking import image
from click.testing import CliRunner, Result

from protonet.cli import main

LENET = str(Path(__file__).parent.parent.parent / "models" / "lenet" / "deploy.prototxt")


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["summary", *args])


def rows(done: Result) -> dict[str, list[str]]:
    """Returns the cells of the table by the layer's name."""
    lines = [line.split() for line in done.stdout.split("\n")]
    return {cells[0]: cells[1:] for cells in lines if cells}


def test_table_of_lenet() -> None:
    done = run(LENET)
    assert done.exit_code == 0
    table = rows(done)
    assert table["conv2"] == [
        "Convolution", "1×50×8×8", "25,050", "1.60", "M", "12.8", "kB", "14×14", "2×2",
    ]  # fmt: skip
    assert "parameters: 431,080 (1.72 MB in float32)" in done.stdout


def test_names_are_not_cut_off_when_piped(tmp_path: Path) -> None:
    name = "a_rather_long_name_of_a_layer_that_nobody_would_want_to_see_cut_off/" * 3
    net = tmp_path / "net.prototxt"
    net.write_text(
        image(1, 3, 8, 8) + f'layer {{ name: "{name}" type: "ReLU" bottom: "data" top: "r" }}'
    )
    done = subprocess.run(
        [sys.executable, "-m", "protonet", "summary", str(net)],
        capture_output=True, text=True, check=True, env={"COLUMNS": "40", "PATH": ""},
    )  # fmt: skip
    assert name in done.stdout


def test_input_takes_height_and_width_or_the_whole_shape() -> None:
    assert rows(run(LENET, "--input", "32", "36"))["data"][1] == "1×1×32×36"
    assert rows(run("--input", "2", "1", "28", "28", LENET))["data"][1] == "2×1×28×28"
    assert rows(run(LENET, "--input", "2x1x28x28"))["prob"][1] == "2×10"
    assert rows(run(LENET, "--input=3,1,28,28"))["prob"][1] == "3×10"


def test_input_that_is_no_shape_is_a_usage_error() -> None:
    for words in (["28", "0"], ["a"], []):
        assert run(LENET, "--input", *words).exit_code == 2


def test_input_that_does_not_fit_is_an_error_at_its_layer() -> None:
    done = run(LENET, "--input", "3", "3")
    assert done.exit_code == 1
    assert f"{LENET}:" in done.stderr
    assert "error[E204]" in done.stderr


def test_json_has_exact_numbers() -> None:
    document = json.loads(run(LENET, "--format", "json").stdout)
    assert document["parameters"] == 431_080
    assert document["outputs"] == ["prob"]
    conv1 = next(layer for layer in document["layers"] if layer["name"] == "conv1")
    assert conv1 == {
        "name": "conv1",
        "type": "Convolution",
        "tops": [{"name": "conv1", "shape": [1, 20, 24, 24]}],
        "parameters": 520,
        "statistics": 0,
        "shared_parameters": 0,
        "macs": 20 * 24 * 24 * 25,
        "activation_bytes": 20 * 24 * 24 * 4,
        "receptive_field": [5, 5],
        "stride": [1.0, 1.0],
    }


def test_phase_chooses_the_layers(tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(
        image(1, 3, 8, 8)
        + 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" include { phase: TRAIN } }'
    )
    assert "r" not in rows(run(str(net)))
    assert "r" in rows(run(str(net), "--phase", "train"))


def test_solver_is_told_from_a_net(tmp_path: Path) -> None:
    solver = tmp_path / "solver.prototxt"
    solver.write_text('net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 1\n')
    done = run(str(solver))
    assert done.exit_code == 1
    assert "help: protonet summary net.prototxt" in done.stderr


@pytest.mark.parametrize("type", ["Python", "Data"])
def test_layers_of_unknown_shape_are_told(tmp_path: Path, type: str) -> None:
    net = tmp_path / "net.prototxt"
    settings = {
        "Python": 'python_param { module: "m" layer: "L" }',
        "Data": 'data_param { source: "none" backend: LMDB batch_size: 4 }',
    }[type]
    net.write_text(f'layer {{ name: "a" type: "{type}" top: "a" {settings} }}\n'
                   'layer { name: "r" type: "ReLU" bottom: "a" top: "r" }\n')  # fmt: skip
    done = run(str(net))
    assert done.exit_code == 0
    assert rows(done)["r"][1] == "?"
    assert "info[I110]" in done.stderr
    assert "parameters: at least 0" in done.stdout
