"""A small net and a solver for it, as files."""

from __future__ import annotations

from pathlib import Path

import pytest

import protonet.caffe as caffe

NET = """
name: "small" force_backward: true
layer {
  name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param {
    num: 5 channels: 2 height: 3 width: 4
    num: 5 channels: 1 height: 1 width: 1
    data_filler { type: "gaussian" std: 1 }
    data_filler { type: "constant" }
  }
}
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {
    num_output: 11 kernel_size: 2 pad: 3
    weight_filler { type: "gaussian" std: 1 } bias_filler { type: "constant" value: 2 }
  }
  param { decay_mult: 1 } param { decay_mult: 0 }
}
layer {
  name: "ip" type: "InnerProduct" bottom: "conv" top: "scores"
  inner_product_param {
    num_output: 13
    weight_filler { type: "gaussian" std: 0.1 } bias_filler { type: "constant" value: -3 }
  }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss" }
"""

DEPLOY = """
name: "deploy"
layer {
  name: "data" type: "Input" top: "data"
  input_param { shape { dim: 4 dim: 3 dim: 6 dim: 6 } }
}
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 5 kernel_size: 3 weight_filler { type: "xavier" } }
}
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer {
  name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { global_pooling: true }
}
layer { name: "prob" type: "Softmax" bottom: "pool" top: "prob" }
"""

SOLVER = """
net: "{net}"
test_iter: 2 test_interval: 10 base_lr: 0.01 momentum: 0.9 weight_decay: 0.0005
lr_policy: "inv" gamma: 0.0001 power: 0.75
display: 10 max_iter: 20 snapshot_after_train: false snapshot_prefix: "{prefix}"
"""


@pytest.fixture
def net_file(tmp_path: Path) -> str:
    """A net with data, labels and a loss."""
    path = tmp_path / "net.prototxt"
    path.write_text(NET)
    return str(path)


@pytest.fixture
def deploy_file(tmp_path: Path) -> str:
    """A net for pictures of 3×6×6 in batches of 4."""
    path = tmp_path / "deploy.prototxt"
    path.write_text(DEPLOY)
    return str(path)


@pytest.fixture
def solver_file(tmp_path: Path, net_file: str) -> str:
    path = tmp_path / "solver.prototxt"
    path.write_text(SOLVER.format(net=net_file, prefix=tmp_path / "model"))
    return str(path)


@pytest.fixture
def script_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a script runs: it writes and imports there, its log is quiet and its seed fixed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GLOG_minloglevel", "2")
    monkeypatch.setattr("protonet.caffe.random_seed._seeds", None)
    caffe.set_random_seed(1)
    return tmp_path
