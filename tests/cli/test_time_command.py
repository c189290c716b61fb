"""`protonet time`: the table and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from protonet.cli import main

NET = """
name: "small"
layer { name: "data" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } shape { dim: 2 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy"
  include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


@pytest.fixture(autouse=True)
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(NET)


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["time", "--iterations", "3", *args])


def layers(*args: str) -> dict[str, Any]:
    done = run("net.prototxt", "--json", *args)
    assert done.exit_code == 0, done.output
    return {layer["name"]: layer for layer in json.loads(done.stdout)["layers"]}


def test_the_table_has_a_row_for_each_layer_and_the_total() -> None:
    done = run("net.prototxt")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith('"small" in phase TRAIN')
    assert [line.split()[0] for line in lines[3:8]] == ["data", "conv", "relu", "ip", "loss"]
    assert lines[-1].startswith("forward ")
    assert done.stderr == ""


def test_operations_are_two_for_each_multiply_add() -> None:
    found = layers()
    conv = 2 * (2 * 4 * 6 * 6) * (3 * 3 * 3)
    ip = 2 * (2 * 5) * (4 * 6 * 6)
    assert found["conv"]["forward"]["flop"] == conv
    assert found["conv"]["backward"]["flop"] == conv, "the data needs no gradient"
    assert found["ip"]["forward"]["flop"] == ip
    assert found["ip"]["backward"]["flop"] == 2 * ip, "of weights and bottom"
    assert found["relu"]["forward"]["flop"] == 0
    assert found["relu"]["forward"]["gflop_per_s"] is None
    assert found["conv"]["forward"]["gflop_per_s"] > 0


def test_bytes_are_those_of_bottoms_parameters_and_tops() -> None:
    found = layers()
    data, weights, top = 2 * 3 * 8 * 8, 4 * 27 + 4, 2 * 4 * 6 * 6
    assert found["conv"]["forward"]["bytes"] == 4 * (data + weights + top)
    assert found["relu"]["forward"]["bytes"] == 4 * 2 * top
    assert found["conv"]["backward"]["bytes"] == 4 * (data + weights + top + weights)


def test_shares_add_up_in_each_direction() -> None:
    found = layers().values()
    assert sum(layer["forward"]["share"] for layer in found) == pytest.approx(1)
    back = [layer["backward"]["share"] for layer in found if layer["backward"]]
    assert sum(back) == pytest.approx(1)


def test_the_phase_and_the_batch_can_be_chosen() -> None:
    found = layers("--phase", "test", "--batch", "6")
    assert "accuracy" in found
    assert found["relu"]["forward"]["bytes"] == 4 * 2 * (6 * 4 * 6 * 6)


def test_a_net_without_a_loss_is_timed_forward_and_that_is_said() -> None:
    text = NET[: NET.index('layer { name: "accuracy"')]
    Path("net.prototxt").write_text(text)
    done = run("net.prototxt")
    assert done.exit_code == 0
    assert "nothing goes backward: the net has no loss" in done.stderr
    assert layers()["ip"]["backward"] is None


def test_a_net_that_is_wrong_is_an_error() -> None:
    Path("net.prototxt").write_text(NET.replace("kernel_size: 3", "kernel_size: 30"))
    done = run("net.prototxt")
    assert done.exit_code == 1
    assert "error[E204]" in done.stderr


def test_a_plan_has_a_row_for_each_operation_that_is_left() -> None:
    done = run("net.prototxt", "--plan")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith('"small" as a plan')
    assert lines[3].startswith("Convolution conv: data -> conv 2×4×6×6 [relu]")
    assert [line.split()[0] for line in lines[3:7]] == [
        "Convolution", "InnerProduct", "Accuracy", "SoftmaxWithLoss",
    ]  # fmt: skip
    document = json.loads(run("net.prototxt", "--plan", "--json").stdout)
    assert document["operations"][0]["flop"] == 2 * (2 * 4 * 6 * 6) * (3 * 3 * 3)
    assert document["run_ms"] > 0
    assert document["activation_bytes"] > 0
