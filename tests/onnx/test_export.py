"""What an exported model looks like, and what is said of a net that cannot be exported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from known_nets import resnet50

import protonet
from protonet.cli import main
from protonet.onnx.export import export_onnx
from protonet.onnx.exporting.model import export_net
from protonet.onnx.verify import compared, first_difference, random_inputs, run_model
from protonet.prototxt.diagnostics import Error

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

HEAD = 'name: "t" layer { name: "in" type: "Input" top: "data" input_param { shape { %s } } }\n'
IMAGE = HEAD % "dim: 2 dim: 3 dim: 7 dim: 7"


def layer(type: str, bottom: str, top: str, settings: str = "", name: str = "") -> str:
    return (
        f'layer {{ name: "{name or top}" type: "{type}" bottom: "{bottom}" top: "{top}" '
        f"{settings} }}\n"
    )


CONV = layer("Convolution", "data", "conv", "convolution_param { num_output: 4 kernel_size: 3 "
             "weight_filler { type: 'xavier' } }")  # fmt: skip
RELU = layer("ReLU", "conv", "conv", name="relu")


def net_of(tmp_path: Path, text: str) -> protonet.Net:
    file = tmp_path / "net.prototxt"
    file.write_text(text)
    return protonet.Net(file, seed=1)


def test_values_have_the_names_of_blobs(tmp_path: Path) -> None:
    exported = export_net(net_of(tmp_path, IMAGE + CONV + RELU))
    outputs = [list(node.output) for node in exported.model.graph.node]
    assert outputs == [["conv/conv"], ["conv"]]  # before and after the layer that works in place
    assert [value.name for value in exported.model.graph.input] == ["data"]
    assert [value.name for value in exported.model.graph.output] == ["conv"]


def test_layers_that_do_nothing_leave_no_operator(tmp_path: Path) -> None:
    text = IMAGE + CONV + layer("Dropout", "conv", "conv", name="drop")
    exported = export_net(net_of(tmp_path, text))
    assert [node.op_type for node in exported.model.graph.node] == ["Conv"]
    assert exported.outputs == {"conv": "conv"}


def test_a_blob_read_twice_is_one_value(tmp_path: Path) -> None:
    text = IMAGE + CONV + layer("TanH", "conv", "a") + layer("Sigmoid", "conv", "b")
    net = net_of(tmp_path, text + layer("ReLU", "conv", "c"))
    exported = export_net(net)
    read = [list(node.input) for node in exported.model.graph.node[1:]]
    assert read == [["conv"]] * 3
    assert exported.outputs == {"a": "a", "b": "b", "c": "c"}
    assert all(d.is_small for d in compared(net, exported, random_inputs(net)))


def test_a_dynamic_batch_is_an_open_axis(tmp_path: Path) -> None:
    text = IMAGE + CONV + layer("Flatten", "conv", "flat")
    text += layer("Reshape", "flat", "cut", "reshape_param { shape { dim: 0 dim: 4 dim: -1 } }")
    net = net_of(tmp_path, text)
    exported = export_net(net, dynamic=True)
    (output,) = exported.model.graph.output
    dims = [d.dim_param or d.dim_value for d in output.type.tensor_type.shape.dim]
    assert dims == ["batch", 4, 25]
    for factor in (1, 3):
        found = compared(net, exported, random_inputs(net, factor))
        assert all(difference.is_small for difference in found)


def test_everything_that_cannot_be_said_is_told_at_once_and_where(tmp_path: Path) -> None:
    noise = "dummy_data_param { shape { dim: 1 } data_filler { type: 'gaussian' } }"
    drop = layer("Dropout", "data", "a", "dropout_param { sample_weights_test: true }")
    text = IMAGE + f'layer {{ name: "n" type: "DummyData" top: "noise" {noise} }}\n' + drop
    net = net_of(tmp_path, text)
    with pytest.raises(Error) as refused:
        export_net(net)
    found = refused.value.diagnostics
    assert [diagnostic.code for diagnostic in found] == ["E601", "E601"]
    assert [diagnostic.spans[0].line for diagnostic in found] == [2, 3]
    assert "draws new numbers" in found[0].message
    assert "drops at random" in found[1].message


def test_a_net_that_fixes_its_batch_is_told_where(tmp_path: Path) -> None:
    text = IMAGE + layer("Reshape", "data", "r", "reshape_param { shape { dim: 6 dim: 49 } }")
    net = net_of(tmp_path, text)
    assert export_net(net).outputs == {"r": "r"}
    with pytest.raises(Error) as refused:
        export_net(net, dynamic=True)
    (found,) = refused.value.diagnostics
    assert (found.code, found.spans[0].line, found.help) == ("E602", 2, "--batch N fixes the batch")


def test_foreign_layers_become_operators_of_our_domain(tmp_path: Path) -> None:
    text = IMAGE + layer("L1Loss", "data", "c", "l1_loss_param { epsilon: 0.25 }")
    net = net_of(tmp_path, text)
    with pytest.raises(Error, match="a loss"):
        export_net(net)
    exported = export_net(net, custom=True)
    (node,) = exported.model.graph.node
    assert (node.domain, node.op_type, list(node.output)) == ("org.protonet", "L1Loss", ["c"])
    assert b"epsilon: 0.25" in node.attribute[0].s
    onnx.checker.check_model(exported.model)


def test_weights_that_layers_share_are_stored_once(tmp_path: Path) -> None:
    shared = "param { name: 'w' } param { name: 'b' } inner_product_param { num_output: 30 }"
    text = HEAD % "dim: 1 dim: 30" + layer("InnerProduct", "data", "a", shared)
    text += layer("InnerProduct", "a", "b", shared)
    exported = export_net(net_of(tmp_path, text))
    assert len(exported.model.graph.initializer) == 2


@pytest.mark.parametrize("opset", [13, 17, 21])
def test_a_residual_net_agrees_in_each_opset(tmp_path: Path, opset: int) -> None:
    text = resnet50().replace("dim: 224 dim: 224", "dim: 32 dim: 32")
    net = net_of(tmp_path, text.replace("num_output: 1000", "num_output: 10"))
    exported = export_net(net, opset=opset)
    onnx.checker.check_model(exported.model, full_check=True)
    assert all(difference.is_small for difference in compared(net, exported, random_inputs(net)))


def test_the_first_blob_that_differs_is_found(tmp_path: Path) -> None:
    net = net_of(tmp_path, IMAGE + CONV + RELU + layer("TanH", "conv", "tanh"))
    exported = export_net(net)
    (weights,) = [t for t in exported.model.graph.initializer if len(t.dims) == 4]
    changed = onnx.numpy_helper.to_array(weights).copy()
    changed[1] += 0.5
    weights.CopyFrom(onnx.numpy_helper.from_array(changed, weights.name))
    found = first_difference(net, exported, random_inputs(net))
    assert found is not None
    assert found[0] == 'layer "conv" (Convolution)'


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["export", "onnx", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def test_the_command_writes_and_verifies(tmp_path: Path, golden: Path) -> None:
    out = tmp_path / "lenet.onnx"
    net, weights = golden / "nets" / "lenet.prototxt", golden / "nets" / "lenet.caffemodel"
    code, text = run(str(net), str(weights), "--out", str(out), "--batch", "dynamic", "--verify")
    assert code == 0, text
    assert "random inputs, twice the batch:" in text
    assert "largest difference" in text
    model = onnx.load(out)
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert told["protonet.net"] == "lenet.prototxt"
    assert told["protonet.weights"] == "lenet.caffemodel"


def test_size_and_batch_are_the_users(tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(IMAGE + CONV)
    report = export_onnx(net, None, tmp_path / "m.onnx", batch=5, size=(9, 11), verify=True)
    assert report.runs[0][1][0].is_small
    found = run_model((tmp_path / "m.onnx").read_bytes(), {"data": np.zeros((5, 3, 9, 11), "f")})
    assert found["conv"].shape == (5, 4, 7, 9)


def test_a_net_that_trains_is_made_one_for_use(tmp_path: Path) -> None:
    net = tmp_path / "train_val.prototxt"
    net.write_text(
        'layer { name: "d" type: "Data" top: "data" top: "label" data_param { source: "no" '
        "batch_size: 4 } }\n"
        + CONV
        + layer("Flatten", "conv", "flat")
        + 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "flat" bottom: "label" }'
    )
    code, text = run(str(net), "--out", str(tmp_path / "m.onnx"))
    assert (code, "--input C H W" in text) == (1, True)
    report = export_onnx(net, None, tmp_path / "m.onnx", size=(3, 7, 7), verify=True)
    assert (report.inputs, report.outputs) == (["data"], ["prob"])


def test_pictures_go_through_both(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "p").mkdir()
    Image.effect_noise((20, 30), 50).save(tmp_path / "p" / "noise.png")
    net = tmp_path / "net.prototxt"
    net.write_text(IMAGE.replace("dim: 2", "dim: 1") + CONV)
    code, text = run(str(net), "--out", str(tmp_path / "m.onnx"), "--verify-images",
                     str(tmp_path / "p"))  # fmt: skip
    assert code == 0, text
    assert "noise.png:" in text


def test_preprocessing_that_is_known_is_told(tmp_path: Path) -> None:
    from protonet.onnx.exporting.prepare import prepared_net

    net = tmp_path / "net.prototxt"
    net.write_text(
        IMAGE + 'layer { name: "d" type: "Data" top: "x" include { phase: TRAIN } '
        "transform_param { scale: 0.5 mean_value: 104 } data_param { source: 'no' } }\n" + CONV
    )
    told = json.loads(prepared_net(net).metadata["protonet.preprocessing"])
    assert told == {"scale": 0.5, "mean_value": [104.0]}


def test_a_wrong_option_is_an_error_of_one_line(tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(IMAGE + CONV)
    code, text = run(str(net), "--out", str(tmp_path / "m.onnx"), "--opset", "3")
    assert (code, "opset 3 is not one of 13 to 21" in text) == (1, True)
    assert not (tmp_path / "m.onnx").exists()
