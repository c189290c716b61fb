"""Drawing nets."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree

import pytest
from google.protobuf import text_format
from PIL import Image

import protonet.caffe as caffe
import protonet.caffe.draw
from protonet.caffe.draw import Facts, draw_net, draw_net_to_file, get_layer_label, net_picture
from protonet.caffe.plain_layout import laid_out
from protonet.caffe.proto import caffe_pb2

MODELS = Path(__file__).parents[2] / "models"

NET = """
name: "drawn"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  data_param { source: "x" batch_size: 64 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  data_param { source: "y" batch_size: 100 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 3 }
  convolution_param { num_output: 20 kernel_size: 5 stride: 2 pad: 1 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { pool: AVE kernel_h: 3 kernel_w: 2 } }
layer { name: "ip \\"<&>\\"" type: "InnerProduct" bottom: "pool" top: "ip"
  inner_product_param { num_output: 10 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


@pytest.fixture
def net() -> caffe_pb2.NetParameter:
    return text_format.Merge(NET, caffe_pb2.NetParameter())


@pytest.fixture
def no_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")


def test_boxes_tell_the_settings_of_layers(net: caffe_pb2.NetParameter) -> None:
    assert get_layer_label(net.layer[2], "TB", True) == (
        "conv\n(Convolution)\nkernel size: 5\nstride: 2\npad: 1\nlr mult: 3"
    )
    assert get_layer_label(net.layer[4], "LR") == (
        "pool (AVE Pooling)\nkernel size: 3×2\nstride: 1\npad: 0"
    )
    assert protonet.caffe.draw.get_edge_label(net.layer[1]) == "Batch 100"


def test_layers_and_blobs_are_joined_as_in_the_net(net: caffe_pb2.NetParameter) -> None:
    picture = net_picture(net, "TB", phase=caffe.TEST)
    arrows = {(edge.start, edge.end): edge.label for edge in picture.edges}
    assert arrows["data_Data", "label_blob"] == "Batch 100"
    assert arrows["conv_Convolution", "conv_blob"] == "20"
    assert ("conv_blob", "relu_ReLU") in arrows
    assert ("relu_ReLU", "conv_blob") in arrows
    assert len(picture.nodes) == 12
    assert picture.nodes["relu_ReLU"].color == "#90EE90"
    assert len(net_picture(net, "TB").nodes) == 13  # both data layers
    assert not any(edge.label for edge in net_picture(net, "TB", label_edges=False).edges)


def test_rules_of_both_kinds_are_refused(net: caffe_pb2.NetParameter) -> None:
    net.layer[0].exclude.add(phase=caffe.TEST)
    with pytest.raises(ValueError, match="both include and exclude"):
        net_picture(net, phase=caffe.TEST)


def test_facts_are_written_too(net: caffe_pb2.NetParameter) -> None:
    picture = net_picture(net, facts=Facts({"conv": "64×20×12×12"}, {"conv": "520 parameters"}))
    assert picture.nodes["conv_blob"].lines == ("conv", "64×20×12×12")
    assert picture.nodes["conv_Convolution"].lines[-1] == "520 parameters"


@pytest.mark.usefixtures("no_graphviz")
@pytest.mark.parametrize("direction", ["LR", "TB", "BT", "RL"])
def test_drawings_need_no_graphviz(net: caffe_pb2.NetParameter, direction: str) -> None:
    with Image.open(io.BytesIO(draw_net(net, direction))) as image:
        assert image.format == "PNG"
        assert (image.width > image.height) == (direction in ("LR", "RL"))
    text = draw_net(net, direction, "svg").decode()
    words = [element.text for element in ElementTree.fromstring(text).iter() if element.text]
    assert "kernel size: 5" in words
    assert any('ip "<&>"' in word for word in words)
    with pytest.raises(RuntimeError, match="needs Graphviz"):
        draw_net(net, direction, "pdf")


@pytest.mark.parametrize(("direction", "axis", "sign"), [("LR", 0, 1), ("TB", 1, 1), ("BT", 1, -1)])
def test_boxes_stand_apart_in_the_order_of_arrows(
    net: caffe_pb2.NetParameter, direction: str, axis: int, sign: int
) -> None:
    layout = laid_out(net_picture(net, direction, phase=caffe.TEST))
    order = ["data_Data", "data_blob", "conv_Convolution", "conv_blob", "pool_Pooling", "pool_blob"]
    places = [sign * layout.places[name][axis] for name in order]
    assert places == sorted(places)
    names = list(layout.places)
    for index, one in enumerate(names):
        (x, y), (width, height) = layout.places[one], layout.sizes[one]
        assert width / 2 <= x <= layout.width - width / 2
        assert height / 2 <= y <= layout.height - height / 2
        for other in names[:index]:
            (u, v), (other_width, other_height) = layout.places[other], layout.sizes[other]
            assert abs(x - u) >= (width + other_width) / 2 or (
                abs(y - v) >= (height + other_height) / 2
            )


def test_the_files_name_says_the_form(net: caffe_pb2.NetParameter, tmp_path: Path) -> None:
    draw_net_to_file(net, tmp_path / "net.raw", "TB", caffe.TRAIN)
    text = (tmp_path / "net.raw").read_text()
    assert text.startswith('digraph "drawn" {\nrankdir=TB;\n')
    assert '"ip \\"<&>\\"_InnerProduct" -> "ip_blob" [label="10"];' in text


def test_an_empty_net_and_former_layers_are_drawn() -> None:
    assert b"<svg" in draw_net(caffe_pb2.NetParameter(), "LR", "svg")
    old = text_format.Merge(
        'layers { name: "r" type: RELU bottom: "a" top: "b" }', caffe_pb2.NetParameter()
    )
    assert "r_ReLU" in net_picture(old).nodes
    assert len(old.layers) == 1  # the message itself is left as it is


@pytest.mark.usefixtures("no_graphviz")
def test_every_model_is_drawn_whole_and_for_each_phase() -> None:
    files = [*MODELS.glob("*/train_val.prototxt"), *MODELS.glob("*/deploy.prototxt")]
    assert len(files) > 20
    for file in files:
        model = text_format.Merge(file.read_text(), caffe_pb2.NetParameter())
        boxes = [set(net_picture(model, phase=phase).nodes) for phase in (0, 1, None)]
        assert boxes[0] | boxes[1] <= boxes[2]
        if file.stem == "train_val":
            assert boxes[0] != boxes[2]
        phase = caffe.TEST if file.stem == "train_val" else None
        drawing = ElementTree.fromstring(draw_net(model, "TB", "svg", phase))
        texts = {text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")}
        nodes = net_picture(model, "TB", phase=phase).nodes.values()
        assert {line for node in nodes for line in node.lines if line} <= texts


@pytest.mark.usefixtures("no_graphviz")
def test_very_large_drawings_are_made_smaller(
    net: caffe_pb2.NetParameter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Image.open(io.BytesIO(draw_net(net, "LR"))) as image:
        width, height = image.size
    monkeypatch.setattr("protonet.caffe.plain_drawing._MOST_PIXELS", width * height // 4)
    with Image.open(io.BytesIO(draw_net(net, "LR"))) as image:
        assert image.size == pytest.approx((width / 2, height / 2), abs=1.5)


def test_an_unknown_direction_is_told(net: caffe_pb2.NetParameter) -> None:
    with pytest.raises(RuntimeError, match="rankdir is one of LR"):
        draw_net(net, "UP")


def test_graphs_for_scripts_are_pydots(
    net: caffe_pb2.NetParameter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pydot", None)
    with pytest.raises(RuntimeError, match=r"protonet\[draw\]"):
        protonet.caffe.draw.get_pydot_graph(net, "LR")
