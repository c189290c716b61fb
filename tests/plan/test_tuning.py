"""Plans whose convolutions go the ways that were the quickest when they were tried."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import protonet
from protonet import kernels
from protonet.ir.protonet_pb2 import NetParameter

NET = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 20 dim: 12 dim: 14 } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a"
  convolution_param { num_output: 32 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }
layer { name: "pool" type: "Pooling" bottom: "a" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "b" type: "Convolution" bottom: "pool" top: "b"
  convolution_param { num_output: 24 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "deep" type: "Convolution" bottom: "b" top: "deep"
  convolution_param { num_output: 24 kernel_size: 3 group: 24 weight_filler { type: "xavier" } } }
"""  # noqa: E501


@pytest.fixture
def ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROTONET_TUNE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "protonet" / "ways.json"


def net() -> protonet.Net:
    return protonet.Net(text_format.Parse(NET, NetParameter()))


def test_a_tuned_plan_computes_what_the_net_does_and_remembers_its_ways(ways: Path) -> None:
    whole = net()
    data = np.random.default_rng(0).normal(size=(2, 20, 12, 14))
    expected = whole.forward(data=data)["deep"]
    for _ in range(2):
        made = protonet.compile(whole).run(data=data)["deep"]
        np.testing.assert_allclose(made, expected, rtol=0, atol=2e-5 * np.abs(expected).max())
    known = json.loads(ways.read_text())
    assert len(known) == 2  # depthwise convolutions have but one way
    assert set(known.values()) <= set(kernels.WAYS)


@pytest.mark.parametrize("way", kernels.WAYS)
def test_every_way_that_is_remembered_is_gone_if_it_can_be(ways: Path, way: str) -> None:
    whole = net()
    data = np.random.default_rng(0).normal(size=(2, 20, 12, 14))
    expected = whole.forward(data=data)["deep"]
    protonet.compile(whole)
    ways.write_text(json.dumps(dict.fromkeys(json.loads(ways.read_text()), way)))
    made = protonet.compile(whole).run(data=data)["deep"]
    np.testing.assert_allclose(made, expected, rtol=0, atol=2e-5 * np.abs(expected).max())
    assert set(json.loads(ways.read_text()).values()) == {way}


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": 1}'])
def test_what_was_remembered_may_be_broken(ways: Path, text: str) -> None:
    ways.parent.mkdir()
    ways.write_text(text)
    protonet.compile(net())
    assert set(json.loads(ways.read_text()).values()) & set(kernels.WAYS)


def test_a_cache_folder_that_is_none_does_no_harm(ways: Path) -> None:
    ways.parent.write_text("a file")
    protonet.compile(net())
