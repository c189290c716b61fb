"""Broken, cut off and hostile ONNX files end in an error of ours, quickly and in little memory."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402
from small_onnx import model_of, one_node  # noqa: E402

from protonet.onnx.importing.net import import_model  # noqa: E402
from protonet.onnx.importing.reading import read_model  # noqa: E402
from protonet.prototxt.diagnostics import Error  # noqa: E402

X = (1, 3, 8, 8)


def refused(model: bytes, folder: Path) -> str:
    path = folder / "m.onnx"
    path.write_bytes(model)
    with pytest.raises(Error) as error:
        import_model(read_model(path), str(path))
    return str(error.value)


@pytest.mark.parametrize("content", [b"", b"\0" * 500, b"layer { }", b"\xff" * 100, b"\x08\x08"])
def test_foreign_files_are_refused(content: bytes, tmp_path: Path) -> None:
    assert "no ONNX model" in refused(content, tmp_path)


def test_a_model_cut_off_anywhere_is_an_error_or_a_net(golden: Path, tmp_path: Path) -> None:
    whole = (golden / "onnx" / "Shapes_dynamo.onnx").read_bytes()
    for length in range(1, len(whole), 97):
        (tmp_path / "m.onnx").write_bytes(whole[:length])
        with pytest.raises(Error):
            import_model(read_model(tmp_path / "m.onnx"))


def test_a_model_with_bytes_changed_is_an_error_or_a_net(golden: Path, tmp_path: Path) -> None:
    whole = bytearray((golden / "onnx" / "Shapes_dynamo.onnx").read_bytes())
    random = np.random.default_rng(0)
    for _ in range(150):
        changed = whole.copy()
        for place in random.integers(0, len(whole), 3):
            changed[place] = random.integers(0, 256)
        (tmp_path / "m.onnx").write_bytes(changed)
        with contextlib.suppress(Error):  # and nothing else
            import_model(read_model(tmp_path / "m.onnx"))


def test_a_tensor_that_promises_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    model = model_of([helper.make_node("Add", ["x", "c"], ["y"])], {"x": X}, {})
    tensor = TensorProto(name="c", data_type=1, dims=[2**31, 2**20], raw_data=b"1234")
    model.graph.initializer.append(tensor)
    assert "should hold" in refused(model.SerializeToString(), tmp_path)


@pytest.mark.parametrize(
    ("kind", "constants"),
    [
        ("ConstantOfShape", {"a": np.array([2**31, 2**31])}),
        ("Expand", {"a": np.ones((1, 1), "f"), "b": np.array([2**20, 2**20])}),
        ("Tile", {"a": np.ones((1, 1), "f"), "b": np.array([2**20, 2**20])}),
        ("Range", {"a": np.array(0), "b": np.array(2**50), "c": np.array(1)}),
    ],
)
def test_constants_that_would_fill_the_memory_are_refused(
    kind: str, constants: dict[str, np.ndarray], tmp_path: Path
) -> None:
    nodes = [
        helper.make_node(kind, list(constants), ["large"]),
        helper.make_node("Add", ["x", "large"], ["y"]),
    ]
    model = model_of(nodes, {"x": X}, constants)
    assert "too large" in refused(model.SerializeToString(), tmp_path)


def test_constants_that_double_at_each_node_are_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Concat", [f"c{n}", f"c{n}"], [f"c{n + 1}"], axis=0) for n in range(60)
    ]
    nodes.append(helper.make_node("Add", ["x", "c60"], ["y"]))
    model = model_of(nodes, {"x": X}, {"c0": np.ones(1, "f")})
    assert "too large" in refused(model.SerializeToString(), tmp_path)


def test_a_circle_of_nodes_is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Add", ["x", "b"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "circle", [helper.make_tensor_value_info("x", 1, X)],
        [helper.make_tensor_value_info("y", 1, X)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    assert "not sound" in refused(model.SerializeToString(), tmp_path)


def test_a_file_outside_the_models_folder_is_not_read(tmp_path: Path) -> None:
    model = model_of([helper.make_node("Add", ["x", "c"], ["y"])], {"x": X}, {})
    tensor = TensorProto(name="c", data_type=1, dims=[4], data_location=1)
    tensor.external_data.add(key="location", value="../../../../etc/passwd")
    model.graph.initializer.append(tensor)
    assert "cannot be read" in refused(model.SerializeToString(), tmp_path)


def test_attributes_that_make_no_sense_are_told(tmp_path: Path) -> None:
    for attributes in ({"kernel_shape": [0, 0]}, {"kernel_shape": [3, 3], "strides": [0, 0]},
                       {"kernel_shape": [3, 3], "pads": [-5] * 4}):  # fmt: skip
        model = one_node("MaxPool", [X], kernel_shape=[3, 3])
        del model.graph.node[0].attribute[:]
        model.graph.node[0].attribute.extend(
            helper.make_attribute(name, value) for name, value in attributes.items()
        )
        assert "MaxPool" in refused(model.SerializeToString(), tmp_path)


def test_names_that_are_no_text_are_told(tmp_path: Path) -> None:
    model = one_node("Relu", [X]).SerializeToString()
    assert "no text" in refused(model.replace(b"small", b"\xff\xfeall"), tmp_path)


def test_a_filter_is_not_grown_beyond_all_measure(tmp_path: Path) -> None:
    weight = np.ones((4, 3, 3, 3), np.float32)
    model = one_node("Conv", [X], weight, pads=[0, 0, 0, 2**31])
    assert "so uneven" in refused(model.SerializeToString(), tmp_path)


@pytest.mark.parametrize(
    ("values", "reason"), [(np.ones(3, np.complex64), "complex"), (np.array(["a"]), "text")]
)
def test_tensors_that_hold_no_real_numbers_are_refused(
    values: np.ndarray, reason: str, tmp_path: Path
) -> None:
    model = model_of([helper.make_node("Add", ["x", "c"], ["y"])], {"x": X}, {})
    model.graph.initializer.append(onnx.numpy_helper.from_array(values, "c"))
    assert reason in refused(model.SerializeToString(), tmp_path)


def test_sparse_tensors_are_refused(tmp_path: Path) -> None:
    model = model_of([helper.make_node("Add", ["x", "c"], ["y"])], {"x": X}, {})
    values = helper.make_tensor("c", 1, [1], [2.0])
    places = helper.make_tensor("c_places", 7, [1], [3])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [8]))
    assert "sparse" in refused(model.SerializeToString(), tmp_path)


def test_what_is_changed_in_a_model_is_an_error_or_a_net(golden: Path, tmp_path: Path) -> None:
    whole = (golden / "onnx" / "Inverted_script.onnx").read_bytes()
    random = np.random.default_rng(0)
    numbers = [0, -1, 1, 5, 2**31, 2**40, 2**62, -(2**62)]
    for _ in range(150):
        model = onnx.ModelProto.FromString(whole)
        node = model.graph.node[random.integers(len(model.graph.node))]
        tensor = model.graph.initializer[random.integers(len(model.graph.initializer))]
        what = random.integers(5)
        if what == 0 and tensor.dims:
            tensor.dims[random.integers(len(tensor.dims))] = numbers[random.integers(8)]
        elif what == 1:
            tensor.data_type = int(random.integers(25))
        elif what == 2 and node.attribute:
            attribute = node.attribute[random.integers(len(node.attribute))]
            attribute.i = numbers[random.integers(8)]
            if attribute.ints:
                attribute.ints[random.integers(len(attribute.ints))] = numbers[random.integers(8)]
        elif what == 3:
            other = model.graph.node[random.integers(len(model.graph.node))]
            node.input[random.integers(len(node.input))] = other.output[0]
        else:
            node.op_type = model.graph.node[random.integers(len(model.graph.node))].op_type
        (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
        with contextlib.suppress(Error):  # and nothing else
            import_model(read_model(tmp_path / "m.onnx"))


def test_the_command_stays_within_a_gigabyte(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    model = one_node("Relu", [X])
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 2**40
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    words = ["import", "onnx", "m.onnx", "--out-net", "n", "--out-weights", "w", "--verify"]
    found = subprocess.run(
        [sys.executable, "-m", "protonet", *words], cwd=tmp_path, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (2**30, 2**30)),
    )  # fmt: skip
    assert found.returncode == 1
    assert "larger than a blob can be" in found.stderr
    assert "Traceback" not in found.stderr
