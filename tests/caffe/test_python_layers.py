"""Python layers as pycaffe's nets have them, seen through caffe.Net and the solvers."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import protonet
import protonet.caffe as caffe

MODULE = """
import caffe


class Tenfold(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = 10 * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 10 * top[0].diff


class Fold(Tenfold):
    def setup(self, bottom, top):
        try:
            self.value = float(self.param_str)
            assert self.param_str_ == self.param_str  # the name of former times
        except ValueError:
            raise ValueError("Parameter string must be a legible float")

    def forward(self, bottom, top):
        top[0].data[...] = self.value * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = self.value * top[0].diff


class Failing(caffe.Layer):
    def setup(self, bottom, top):
        raise RuntimeError("in setup")


class Learning(caffe.Layer):
    def setup(self, bottom, top):
        self.blobs.add_blob(1)
        self.blobs[0].data[0] = 0

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        pass

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[0] = 1


class Phase(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape()

    def forward(self, bottom, top):
        top[0].data[()] = self.phase


class Rows(caffe.Layer):
    '''A data layer that the script hands its rows to.'''

    def setup(self, bottom, top):
        top[0].reshape(2, 3)
        top[0].data[...] = 5
        self.rows = None

    def set_rows(self, rows):
        self.rows = rows

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        if self.rows is not None:
            top[0].reshape(*self.rows.shape)
            top[0].data[...] = self.rows

    def backward(self, top, propagate_down, bottom):
        pass


class Blind(caffe.Layer):
    '''Changes the first column of what it works on in place.'''

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        assert top[0].data.shape == bottom[0].data.shape
        top[0].data[:, 0] = 0

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[:, 0] = 0


class Careful(Tenfold):
    def backward(self, top, propagate_down, bottom):
        self.seen = [bool(each) for each in propagate_down]
        raise KeyError("in backward")
"""

INPUT = 'input: "data" input_shape { dim: 10 dim: 9 dim: 8 }'


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    name = f"pycaffe_layers_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def layer(module: str, cls: str, name: str, bottom: str = "", param_str: str = "") -> str:
    fed = f'bottom: "{bottom}"' if bottom else ""
    return f"""
    layer {{
      type: "Python" name: "{name}" {fed} top: "{name}"
      python_param {{ module: "{module}" layer: "{cls}" param_str: '{param_str}' }}
    }}"""


def written(tmp_path: Path, *parts: str) -> str:
    path = tmp_path / "net.prototxt"
    path.write_text("force_backward: true\n" + "\n".join(parts))
    return str(path)


@pytest.fixture
def chain(tmp_path: Path, module: str) -> caffe.Net:
    """Three tenfold layers after one another."""
    names = ["data", "one", "two", "three"]
    parts = [layer(module, "Tenfold", top, bottom) for bottom, top in pairwise(names)]
    return caffe.Net(written(tmp_path, INPUT, *parts), caffe.TRAIN)


def test_values_go_forward_and_gradients_back(chain: caffe.Net) -> None:
    chain.blobs["three"].diff[...] = 7
    chain.backward()  # before any forward
    assert (chain.blobs["data"].diff == 7000).all()
    chain.blobs["data"].data[...] = 8
    chain.forward()
    assert (chain.blobs["three"].data == 8000).all()


def test_blobs_follow_the_inputs_shape(chain: caffe.Net) -> None:
    chain.blobs["data"].reshape(4, 4, 4, 4)
    chain.forward()
    assert {blob.data.shape for blob in chain.blobs.values()} == {(4, 4, 4, 4)}


def test_param_str_is_handed_over(tmp_path: Path, module: str) -> None:
    parts = [
        layer(module, "Fold", "mul10", "data", "10"),
        layer(module, "Fold", "mul2", "mul10", "2"),
    ]
    net = caffe.Net(written(tmp_path, INPUT, *parts), caffe.TRAIN)
    net.blobs["data"].data[...] = 8
    net.forward()
    assert (net.blobs["mul2"].data == 160).all()
    with pytest.raises(ValueError, match="legible float"):
        caffe.Net(written(tmp_path, INPUT, layer(module, "Fold", "x", "data", "ten")), caffe.TEST)


def test_exceptions_in_setup_and_backward_come_out(tmp_path: Path, module: str) -> None:
    with pytest.raises(RuntimeError, match=r"^in setup$"):
        caffe.Net(written(tmp_path, INPUT, layer(module, "Failing", "x", "data")), caffe.TEST)
    net = caffe.Net(written(tmp_path, INPUT, layer(module, "Careful", "x", "data")), caffe.TEST)
    net.forward()
    with pytest.raises(KeyError, match="in backward"):
        net.backward()
    assert net.layers[1].seen == [True]
    assert net.forward()["x"].shape == (10, 9, 8)  # and the net goes on


def test_parameters_are_saved_loaded_and_shared(tmp_path: Path, module: str) -> None:
    file = written(tmp_path, INPUT, layer(module, "Learning", "layer", "data"))
    net = caffe.Net(file, caffe.TRAIN)
    net.forward()
    net.backward()
    mine = net.layers[list(net._layer_names).index("layer")]
    assert (mine.blobs[0].data[0], mine.blobs[0].diff[0]) == (0, 1)
    mine.blobs[0].data[0] += mine.blobs[0].diff[0]
    net.save(str(tmp_path / "w.caffemodel"))
    mine.blobs[0].data[0] = -1
    net.copy_from(str(tmp_path / "w.caffemodel"))
    assert net.params["layer"][0].data[0] == mine.blobs[0].data[0] == 1
    other = caffe.Net(file, caffe.TRAIN)
    other.share_with(net)
    theirs = other.layers[list(other._layer_names).index("layer")]
    assert theirs.blobs[0].data[0] == 1
    mine.blobs[0].data[0] = 12
    assert theirs.blobs[0].data[0] == other.params["layer"][0].data[0] == 12


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_the_phase_is_told(tmp_path: Path, module: str, phase: int) -> None:
    net = caffe.Net(written(tmp_path, layer(module, "Phase", "phase")), phase)
    assert net.forward()["phase"] == phase


def test_layers_gives_the_users_object(tmp_path: Path, module: str) -> None:
    net = caffe.Net(written(tmp_path, layer(module, "Rows", "rows")), caffe.TEST)
    rows = net.layers[0]
    assert (type(rows).__name__, rows.type) == ("Rows", "Python")
    assert isinstance(rows, caffe.Layer)
    assert net.layer_dict["rows"] is rows
    np.testing.assert_array_equal(net.forward()["rows"], np.full((2, 3), 5))  # set up so
    rows.set_rows(np.ones((1, 4)))
    np.testing.assert_array_equal(net.forward()["rows"], np.ones((1, 4)))


def test_a_solver_trains_through_python_layers(tmp_path: Path, module: str) -> None:
    file = written(
        tmp_path, 'input: "data" input_shape { dim: 1 dim: 3 }',
        layer(module, "Learning", "mine", "data"),
        'layer { name: "sum" type: "Reduction" bottom: "mine" top: "sum" loss_weight: 1 }',
    )  # fmt: skip
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{file}" base_lr: 0.5 lr_policy: "fixed" max_iter: 3 snapshot_after_train: false'
    )
    solver = caffe.SGDSolver(str(tmp_path / "solver.prototxt"))
    solver.solve()
    assert solver.net.layers[1].blobs[0].data[0] == -1.5


def test_a_layer_of_ours_can_be_asked_for_its_shapes(deploy_file: str) -> None:
    net = caffe.Net(deploy_file, caffe.TEST)
    conv = net.layer_dict["conv"]
    net.blobs["data"].reshape(2, 3, 10, 10)
    conv.reshape([net.blobs["data"]], [net.blobs["conv"]])
    assert net.blobs["conv"].shape == (2, 5, 8, 8)
    with pytest.raises(RuntimeError, match="Pooling: "):
        net.layer_dict["pool"].reshape([net.params["conv"][1]], [net.blobs["pool"]])


def test_a_layer_may_work_in_place(tmp_path: Path, module: str) -> None:
    ip = 'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" '
    ip += 'inner_product_param { num_output: 4 weight_filler { type: "gaussian" std: 1 } } }'
    blind = layer(module, "Blind", "ip", "ip").replace('name: "ip"', 'name: "blind"')
    relu = 'layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }'
    net = caffe.Net(written(tmp_path, INPUT, ip, blind, relu), caffe.TEST)
    data = np.random.default_rng(0).normal(size=(10, 9, 8)).astype(np.float32)
    wanted = np.maximum(data.reshape(10, -1) @ net.params["ip"][0].data.T, 0)
    wanted[:, 0] = 0
    plan = protonet.compile(protonet.Net(str(tmp_path / "net.prototxt")))
    for _ in range(2):
        np.testing.assert_allclose(net.forward(data=data)["ip"], wanted, rtol=1e-4, atol=1e-5)
    net.blobs["ip"].diff[...] = 1
    net.backward()
    slope = (wanted > 0) @ net.params["ip"][0].data
    np.testing.assert_allclose(net.blobs["data"].diff.reshape(10, -1), slope, rtol=1e-4, atol=1e-5)
    for _ in range(2):
        out = plan.run(data=data)["ip"]
        assert not out[:, 0].any()
        assert out[:, 1:].any()
