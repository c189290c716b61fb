"""What is found different between two nets, whatever their formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from protonet.diff import compare, read_side
from protonet.net import Net
from protonet.prototxt.diagnostics import Error

NET = """
name: "t"
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with net.prototxt, and two files of weights that differ in the bias of conv."""
    (tmp_path / "net.prototxt").write_text(NET)
    net = Net(tmp_path / "net.prototxt", seed=3)
    net.save(tmp_path / "one.caffemodel")
    net.save(tmp_path / "one.h5")
    net.params["conv"][1].data[2] += 0.5
    net.save(tmp_path / "two.caffemodel")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    (folder / "other.prototxt").write_text(text)
    return folder / "other.prototxt"


def test_a_net_does_not_differ_from_itself(folder: Path) -> None:
    found = compare(read_side(folder / "net.prototxt"), read_side(folder / "net.prototxt"))
    assert found.same
    assert found.blobs_alike == 3


def test_a_setting_that_is_its_default_is_no_difference(folder: Path) -> None:
    text = NET.replace("kernel_size: 3 stride: 2", "kernel_size: 3 stride: 2 pool: MAX pad: 0")
    other = read_side(write(folder, text))
    assert compare(read_side(folder / "net.prototxt"), other).same


def test_settings_are_named_with_both_values(folder: Path) -> None:
    other = read_side(write(folder, NET.replace("stride: 2", "stride: 2 pool: AVE")))
    found = compare(read_side(folder / "net.prototxt"), other)
    assert [str(change) for change in found.changes] == ["pool: pooling_param.pool MAX → AVE"]
    assert found.first is not None
    assert (found.first.name, found.first_made_by, found.blobs_alike) == ("pool", "pool", 1)
    assert not found.same


def test_layers_of_one_side_and_shapes_are_told(folder: Path) -> None:
    text = NET.replace('name: "relu"', 'name: "rectify"').replace("num_output: 4", "num_output: 6")
    found = compare(read_side(folder / "net.prototxt"), read_side(write(folder, text)))
    assert (found.only_a, found.only_b) == (["relu"], ["rectify"])
    assert [(s.name, s.a[1], s.b[1]) for s in found.shapes] == [("conv", 4, 6), ("pool", 4, 6)]
    assert [s.name for s in found.parameter_shapes] == ["conv[0]", "conv[1]", "fc[0]"]
    assert found.first is not None
    assert found.first.reason


def test_weights_are_compared_by_layer_and_run_in_the_others_net(folder: Path) -> None:
    net = read_side(folder / "net.prototxt", folder / "one.caffemodel")
    found = compare(net, read_side(folder / "two.caffemodel"))
    assert [difference.name for difference in found.parameters] == ["conv[1]"]
    assert found.parameters[0].absolute == pytest.approx(0.5)
    assert found.parameters_alike == 3
    assert found.first is not None
    assert (found.first.name, found.first_made_by) == ("conv", "conv, relu")


def test_weights_alone_are_compared_without_a_run(folder: Path) -> None:
    one, hdf5, two = (
        read_side(folder / name) for name in ("one.caffemodel", "one.h5", "two.caffemodel")
    )
    assert compare(one, hdf5).same
    found = compare(one, two)
    assert not found.same
    assert "weights only" in found.not_run


def test_what_is_close_is_alike_and_counted(folder: Path) -> None:
    net = Net(folder / "net.prototxt", weights=folder / "one.caffemodel")
    net.params["fc"][0].data[...] *= np.float32(1 + 1e-6)
    net.save(folder / "close.caffemodel")
    sides = [read_side(folder / name) for name in ("one.caffemodel", "close.caffemodel")]
    found = compare(*sides)
    assert (found.same, found.parameters_close) == (True, 1)
    assert not compare(*sides, tolerance=0).same


def test_nets_with_data_of_their_own_are_compared_without_a_run(folder: Path) -> None:
    data = 'layer { name: "in" type: "Data" top: "data" data_param { source: "no" batch_size: 2 } }'
    text = NET.replace(NET.splitlines()[2], data)
    other = read_side(write(folder, text))
    found = compare(other, other)
    assert (found.same, "data layers" in found.not_run) == (True, True)


class TestWithOnnx:
    @pytest.fixture
    def model(self, folder: Path) -> Path:
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
        from protonet.onnx.export import export_onnx

        export_onnx(
            folder / "net.prototxt", folder / "one.caffemodel", folder / "m.onnx", batch="dynamic"
        )
        return folder / "m.onnx"

    def test_a_model_is_like_the_net_it_was_made_of(self, folder: Path, model: Path) -> None:
        net = read_side(folder / "net.prototxt", folder / "one.caffemodel")
        for sides in ((net, read_side(model)), (read_side(model), net)):
            found = compare(*sides)
            assert (found.same, found.not_run, found.parameters_alike) == (True, "", 4)
            assert found.blobs_alike >= 3

    def test_the_first_blob_that_another_weight_changes_is_told(
        self, folder: Path, model: Path
    ) -> None:
        net = read_side(folder / "net.prototxt", folder / "two.caffemodel")
        found = compare(net, read_side(model))
        assert (found.same, found.unmatched_a) == (False, ["conv[1]"])
        assert found.first is not None
        assert found.first.name == "conv"

    def test_a_net_without_weights_is_no_match_for_a_model(self, folder: Path, model: Path) -> None:
        with pytest.raises(Error, match="no weights"):
            compare(read_side(folder / "net.prototxt"), read_side(model))

    def test_an_imported_net_is_like_its_model(self, folder: Path, model: Path) -> None:
        from protonet.onnx.import_ import import_onnx

        import_onnx(model, folder / "back.prototxt", folder / "back.caffemodel")
        net = read_side(folder / "back.prototxt", folder / "back.caffemodel")
        found = compare(net, read_side(model))
        assert (found.same, found.not_run) == (True, "")

    def test_a_model_that_no_net_stands_for_is_compared_by_its_values(self, tmp_path: Path) -> None:
        onnx = pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
        from small_onnx import one_node

        onnx.save(one_node("Sin", [(2, 3)]), tmp_path / "a.onnx")
        onnx.save(one_node("Cos", [(2, 3)]), tmp_path / "b.onnx")
        same = compare(read_side(tmp_path / "a.onnx"), read_side(tmp_path / "a.onnx"))
        assert (same.same, same.blobs_alike) == (True, 1)
        found = compare(read_side(tmp_path / "a.onnx"), read_side(tmp_path / "b.onnx"))
        assert found.first is not None
        assert found.first.name == "y"
