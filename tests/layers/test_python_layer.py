"""Layers that the user writes in Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import protonet
from protonet.cli import main
from protonet.layers import python_permission

CODE = """
import caffe


class Affine(caffe.Layer):
    def setup(self, bottom, top):
        self.factor = float(self.param_str or 1)
        self.blobs.add_blob(1)
        self.blobs[0].data[...] = 3

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data + self.blobs[0].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += top[0].diff.sum()
        if propagate_down[0]:
            bottom[0].diff[...] = self.factor * top[0].diff


class Positive(caffe.Layer):
    def setup(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        kept = bottom[0].data[bottom[0].data > 0]
        top[0].reshape(len(kept))
        top[0].data[...] = kept

    def backward(self, top, propagate_down, bottom):
        pass


class Broken(caffe.Layer):
    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        raise ZeroDivisionError("from inside")


class Phase(caffe.Layer):
    def __init__(self, *arguments):
        self.seen = []  # without calling caffe.Layer's

    def reshape(self, bottom, top):
        self.seen.append(bottom[0].shape)
        top[0].reshape(1)

    def forward(self, bottom, top):
        top[0].data[0] = self.phase == caffe.TRAIN


class NoLayer:
    pass
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    name = f"user_layers_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def net_text(module: str, layer: str, param_str: str = "", after: str = "") -> str:
    return f"""
    layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 2 dim: 3 }} }} }}
    layer {{
      name: "mine" type: "Python" bottom: "x" top: "y"
      python_param {{ module: "{module}" layer: "{layer}" param_str: "{param_str}" }}
    }}
    {after}"""


def net_of(tmp_path: Path, *arguments: str, phase: int = 1, **more: str) -> protonet.Net:
    path = tmp_path / "net.prototxt"
    path.write_text(net_text(*arguments, **more))
    return protonet.Net(path, phase, seed=1)


def test_a_users_layer_runs_with_its_parameters(tmp_path: Path, module: str) -> None:
    net = net_of(tmp_path, module, "Affine", "2")
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(net.forward(x=x)["y"], 2 * x + 3)
    net.params["mine"][0].data[...] = -1
    np.testing.assert_array_equal(net.forward(x=x)["y"], 2 * x - 1)


def test_gradients_reach_parameters_and_bottoms(tmp_path: Path, module: str) -> None:
    text = "force_backward: true" + net_text(module, "Affine", "2")
    text = text.replace("python_param", "loss_weight: 1 python_param")
    (tmp_path / "net.prototxt").write_text(text)
    net = protonet.Net(tmp_path / "net.prototxt", seed=1)
    net.forward(x=np.ones((2, 3)))
    net.backward()
    assert net.params["mine"][0].diff[0] == 6
    np.testing.assert_array_equal(net.blobs["x"].diff, np.full((2, 3), 2))


def test_tops_may_change_shape_in_every_pass(tmp_path: Path, module: str) -> None:
    after = 'layer { name: "relu" type: "ReLU" bottom: "y" top: "z" }'
    net = net_of(tmp_path, module, "Positive", after=after)
    for row in ([[-1, 2, 3], [4, -5, 6]], [[-1, -2, -3], [-4, 5, -6]], [[1, 1, 1], [1, 1, 1]]):
        x = np.asarray(row, np.float32)
        np.testing.assert_array_equal(net.forward(x=x)["z"], x[x > 0])


def test_inputs_of_another_shape_reach_the_users_reshape(tmp_path: Path, module: str) -> None:
    net = net_of(tmp_path, module, "Affine")
    assert net.forward(x=np.zeros((4, 5)))["y"].shape == (4, 5)


def test_the_phase_is_told_and_a_missing_super_call_does_not_matter(
    tmp_path: Path, module: str
) -> None:
    for phase in (0, 1):
        net = net_of(tmp_path, module, "Phase", phase=phase)
        assert net.forward(x=np.zeros((2, 3)))["y"][0] == (phase == 0)


def test_exceptions_come_out_unchanged(tmp_path: Path, module: str) -> None:
    net = net_of(tmp_path, module, "Broken")
    with pytest.raises(ZeroDivisionError, match="from inside"):
        net.forward()


def test_parameters_shared_by_name_start_as_the_first_layer_says(
    tmp_path: Path, module: str
) -> None:
    text = net_text(module, "Affine", "1").replace(
        "python_param", 'param { name: "b" } python_param'
    )
    second = text[text.index("layer {", text.index('"Input"')) :]
    second = second.replace('"mine"', '"second"').replace('"x" top: "y"', '"y" top: "z"')
    (tmp_path / "net.prototxt").write_text(text + second)
    net = protonet.Net(tmp_path / "net.prototxt", seed=1)
    net.params["mine"][0].data[...] = 7
    assert net.params["second"][0].data[0] == 7


@pytest.mark.parametrize(
    ("module_name", "layer", "text"),
    [
        ("no_such_module_anywhere", "Affine", 'no Python module "no_such_module_anywhere"'),
        (None, "Afine", 'did you mean "Affine"?'),
        (None, "NoLayer", "is not a layer"),
    ],
)
def test_code_that_is_not_there_is_told_with_its_place(
    tmp_path: Path, module: str, module_name: str | None, layer: str, text: str
) -> None:
    with pytest.raises(protonet.Error) as caught:
        net_of(tmp_path, module_name or module, layer)
    shown = f"{caught.value} {caught.value.diagnostics[0].help}"
    assert text in shown
    assert shown.startswith(f"{tmp_path / 'net.prototxt'}:5:")


def test_a_layer_without_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(protonet.Error, match="python_param has no module"):
        net_of(tmp_path, "", "Affine")


def test_check_and_summary_never_import_the_code(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(net_text("no_such_module_anywhere", "Affine"))
    for command in ("check", "summary"):
        result = CliRunner().invoke(main, [command, str(tmp_path / "net.prototxt")])
        assert result.exit_code == 0, result.output


def test_the_command_line_refuses_to_run_the_code_unless_told(
    tmp_path: Path, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python_permission, "allowed", False)
    with pytest.raises(protonet.Error) as caught:
        net_of(tmp_path, module, "Affine")
    assert module in str(caught.value)
    assert '"Affine"' in str(caught.value)
    assert "--allow-python-layers" in caught.value.diagnostics[0].help
