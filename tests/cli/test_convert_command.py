"""`protonet convert` goes from one format to another by the suffixes of the files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import protonet
from protonet.cli import main
from protonet.ir.weights import read_weights


def convert(*words: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["convert", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


@pytest.fixture
def lenet(golden: Path) -> tuple[Path, Path]:
    return golden / "nets" / "lenet.prototxt", golden / "nets" / "lenet.caffemodel"


def test_a_net_goes_to_onnx_and_back(lenet: tuple[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    code, text = convert(*lenet, "--out", tmp_path / "m.onnx", "--batch", "dynamic", "--verify")
    assert (code, "random inputs" in text) == (0, True), text
    code, text = convert(tmp_path / "m.onnx", "--out", tmp_path / "back.prototxt", "--verify")
    assert code == 0, text
    x = np.ones((1, 1, 28, 28), np.float32)
    back = protonet.Net(tmp_path / "back.prototxt", weights=tmp_path / "back.caffemodel")
    wanted = protonet.Net(lenet[0], weights=lenet[1]).forward(data=x)["prob"]
    np.testing.assert_allclose(back.forward(data=x)["prob"], wanted, atol=1e-6)


def test_weights_go_to_hdf5_and_back(lenet: tuple[Path, Path], tmp_path: Path) -> None:
    assert convert(lenet[1], "--out", tmp_path / "w.h5")[0] == 0
    assert convert(tmp_path / "w.h5", "--out", tmp_path / "w.caffemodel")[0] == 0
    before, after = read_weights(lenet[1]), read_weights(tmp_path / "w.caffemodel")
    for layer in before.layers:
        again = after.find(layer.name)
        for number, blob in enumerate(layer.blobs):
            assert again is not None
            np.testing.assert_array_equal(again.blobs[number], blob)


def test_types_of_layers_stay_in_binary_weights(lenet: tuple[Path, Path], tmp_path: Path) -> None:
    assert convert(lenet[1], "--out", tmp_path / "w.caffemodel")[0] == 0
    kinds = {layer.name: layer.type for layer in read_weights(tmp_path / "w.caffemodel").layers}
    assert (kinds["conv1"], kinds["ip1"]) == ("Convolution", "InnerProduct")


def test_an_old_net_becomes_a_current_one(tmp_path: Path) -> None:
    (tmp_path / "old.prototxt").write_text(
        'input: "data" input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4\n'
        'layers { name: "r" type: RELU bottom: "data" top: "r" }'
    )
    assert convert(tmp_path / "old.prototxt", "--out", tmp_path / "new.prototxt")[0] == 0
    text = (tmp_path / "new.prototxt").read_text()
    assert 'type: "ReLU"' in text
    assert 'type: "Input"' in text
    assert "layers" not in text


def test_an_old_solver_becomes_a_current_one(tmp_path: Path) -> None:
    (tmp_path / "old.prototxt").write_text('net: "n.prototxt" base_lr: 0.1 solver_type: ADAM\n')
    assert convert(tmp_path / "old.prototxt", "--out", tmp_path / "new.prototxt")[0] == 0
    assert 'type: "Adam"' in (tmp_path / "new.prototxt").read_text()


def test_a_net_and_its_weights_are_written_together(
    lenet: tuple[Path, Path], tmp_path: Path
) -> None:
    outs = ("--out", tmp_path / "n.prototxt", "--out", tmp_path / "w.h5")
    assert convert(*lenet, *outs)[0] == 0
    protonet.Net(tmp_path / "n.prototxt", weights=tmp_path / "w.h5")


def test_a_mean_image_goes_to_numpy_and_back(tmp_path: Path) -> None:
    mean = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.save(tmp_path / "mean.npy", mean)
    assert convert(tmp_path / "mean.npy", "--out", tmp_path / "m.binaryproto")[0] == 0
    assert convert(tmp_path / "m.binaryproto", "--out", tmp_path / "again.npy")[0] == 0
    np.testing.assert_array_equal(np.load(tmp_path / "again.npy"), mean)


@pytest.mark.parametrize(
    ("given", "wanted", "reason"),
    [
        (["w.caffemodel"], ["m.onnx"], "need their net"),
        (["n.prototxt"], ["w.caffemodel"], "holds no weights"),
        (["n.zip"], ["m.onnx"], "its suffix is none of"),
        (["mean.npy"], ["m.onnx"], "no way from"),
        (["n.prototxt", "m.prototxt"], ["m.onnx"], "of the same kind"),
        (["n.prototxt"], ["m.prototxt", "--opset", "17"], "--opset means nothing"),
        (["n.prototxt"], ["m.onnx", "--strict-caffe"], "--strict-caffe means nothing"),
        (["m.onnx"], ["m.prototxt", "--batch", "dynamic"], "one batch size"),
    ],
)
def test_what_cannot_be_converted_is_told(given: list[str], wanted: list[str], reason: str) -> None:
    code, text = convert(*given, "--out", *wanted)
    assert (code, reason in text) == (2, True), text
