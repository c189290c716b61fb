"""ONNX operators read as layers give what ONNX Runtime gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_cases import GoldenCase, GoldenRun, known_cases

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import helper  # noqa: E402
from small_onnx import model_of, one_node  # noqa: E402

from protonet.onnx import import_  # noqa: E402
from protonet.onnx.exporting.model import export_net  # noqa: E402
from protonet.onnx.exporting.registry import REFUSED  # noqa: E402
from protonet.onnx.import_ import loaded_net, random_feeds  # noqa: E402
from protonet.onnx.importing.net import Imported, import_model  # noqa: E402
from protonet.onnx.verify import Difference, random_inputs, run_model  # noqa: E402
from protonet.prototxt.diagnostics import Error  # noqa: E402


def agrees(model: Any, **options: Any) -> Imported:
    """Reads a model and holds the net against ONNX Runtime."""
    onnx.checker.check_model(model)
    found = import_model(model, **options)
    feeds = random_feeds(found.inputs)
    wanted = run_model(model, feeds)
    net = loaded_net(found)
    net.forward(**feeds)
    for output, blob in found.outputs.items():
        difference = Difference.between(output, net.blobs[blob].data, wanted[output])
        assert difference.is_small, str(difference)
    return found


def types(found: Imported) -> list[str]:
    return [layer.type for layer in found.net.layer if layer.type != "Input"]


RANDOM = np.random.default_rng(0)


def numbers(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def whole(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


X = (2, 4, 6, 7)
OPERATORS = {
    "Relu": (one_node("Relu", [X]), ["ReLU"]),
    "LeakyRelu": (one_node("LeakyRelu", [X], alpha=0.3), ["ReLU"]),
    "PRelu": (one_node("PRelu", [X], numbers(4, 1, 1)), ["PReLU"]),
    "PRelu of one slope": (one_node("PRelu", [X], numbers(1)), ["PReLU"]),
    "Clip": (one_node("Clip", [X], np.float32(-0.5), np.float32(0.5)), ["Clip"]),
    "Clip below": (one_node("Clip", [X], np.float32(0)), ["ReLU"]),
    "Clip above": (one_node("Clip", [X], None, np.float32(0.2)), ["Clip"]),
    "Clip of opset 6": (one_node("Clip", [X], opset=10, min=-0.5, max=1.0), ["Clip"]),
    "Elu": (one_node("Elu", [X], alpha=0.5), ["ELU"]),
    "Softplus": (one_node("Softplus", [X]), ["BNLL"]),
    "HardSigmoid": (one_node("HardSigmoid", [X], alpha=0.3), ["Power", "Clip"]),
    "HardSwish": (one_node("HardSwish", [X]), ["Power", "Clip", "Eltwise"]),
    "Pow": (one_node("Pow", [X], np.float32(3)), ["Power"]),
    "Softmax": (one_node("Softmax", [X], axis=-1), ["Softmax"]),
    "LogSoftmax": (one_node("LogSoftmax", [(2, 5)], axis=1), ["Softmax", "Log"]),
    "LRN": (one_node("LRN", [X], size=3, alpha=0.1, beta=0.6, bias=2.0), ["LRN"]),
    "Add of a number": (one_node("Add", [X], np.float32(2)), ["Power"]),
    "Add by channel": (one_node("Add", [X], numbers(4, 1, 1)), ["Bias"]),
    "Add by column": (one_node("Add", [X], numbers(7)), ["Bias"]),
    "Add of a plane": (one_node("Add", [X], numbers(6, 7)), ["Bias"]),
    "Add of blobs": (one_node("Add", [X, X]), ["Eltwise"]),
    "Add of a blob by channel": (one_node("Add", [(2, 4, 1, 1), X]), ["Flatten", "Bias"]),
    "Add of a constant that grows": (one_node("Add", [(2, 1)], numbers(1, 3)), ["Tile", "Bias"]),
    "Sum": (one_node("Sum", [X, X, X]), ["Eltwise"]),
    "Sub from a number": (one_node("Sub", [X], np.float32(2), first=True), ["Power"]),
    "Sub by channel": (one_node("Sub", [X], numbers(1, 4, 1, 1)), ["Bias"]),
    "Sub from constants": (one_node("Sub", [X], numbers(4, 1, 1), first=True), ["Power", "Bias"]),
    "Sub of blobs": (one_node("Sub", [X, X]), ["Eltwise"]),
    "Mul by channel": (one_node("Mul", [X], numbers(4, 1, 1)), ["Scale"]),
    "Mul by a blob for each channel": (one_node("Mul", [X, (2, 4, 1, 1)]), ["Flatten", "Scale"]),
    "Mul by a map": (one_node("Mul", [X, (2, 1, 6, 7)]), ["Tile", "Eltwise"]),
    "Div by a number": (one_node("Div", [X], np.float32(4)), ["Power"]),
    "Div of a number": (one_node("Div", [X], np.float32(4), first=True), ["Power"]),
    "Div of blobs": (one_node("Div", [X, X]), ["Power", "Eltwise"]),
    "Max of blobs": (one_node("Max", [X, X]), ["Eltwise"]),
    "Max with a number": (one_node("Max", [X], np.float32(0.1)), ["Clip"]),
    "Min of blobs": (one_node("Min", [X, X]), ["Power", "Power", "Eltwise", "Power"]),
    "BatchNormalization": (
        one_node("BatchNormalization", [X], numbers(4), numbers(4), numbers(4), numbers(4) ** 2),
        ["BatchNorm", "Scale"],
    ),
    "BatchNormalization that only norms": (
        one_node("BatchNormalization", [X], np.ones(4, "f"), np.zeros(4, "f"), numbers(4),
                 numbers(4) ** 2, epsilon=0.1),
        ["BatchNorm"],
    ),
    "Gemm": (
        one_node("Gemm", [(3, 5)], numbers(5, 2), numbers(2), alpha=0.5, beta=2.0),
        ["InnerProduct"],
    ),
    "Gemm transposed": (one_node("Gemm", [(3, 5)], numbers(2, 5), transB=1), ["InnerProduct"]),
    "MatMul of rows": (one_node("MatMul", [(2, 3, 5)], numbers(5, 2)), ["InnerProduct"]),
    "Concat": (one_node("Concat", [X, X], axis=2), ["Concat"]),
    "Split": (one_node("Split", [X], whole(1, 3), axis=1, outputs=2), ["Slice"]),
    "Split in halves": (one_node("Split", [X], axis=1, outputs=2), ["Slice"]),
    "Slice": (
        one_node("Slice", [X], whole(1, -3), whole(3, 99), whole(1, 3)),
        ["Slice", "Silence", "Slice", "Silence"],
    ),
    "Slice backward": (
        one_node("Slice", [X], whole(-1), whole(-(2**62)), whole(2), whole(-1)), ["Reverse"],
    ),
    "Gather of one": (
        one_node("Gather", [X], np.array(2, np.int64), axis=1), ["Slice", "Silence", "Reshape"],
    ),
    "Flatten": (one_node("Flatten", [X]), ["Flatten"]),
    "Flatten from 2": (one_node("Flatten", [X], axis=2), ["Reshape"]),
    "Reshape": (one_node("Reshape", [X], whole(0, 2, -1, 7)), ["Reshape"]),
    "Squeeze": (one_node("Squeeze", [(2, 1, 3, 1)], whole(1)), ["Reshape"]),
    "Unsqueeze": (one_node("Unsqueeze", [(2, 3)], whole(0, -1)), ["Reshape"]),
    "Transpose": (one_node("Transpose", [X], perm=[0, 2, 3, 1]), ["Permute"]),
    "Transpose of ones": (one_node("Transpose", [(2, 5, 1, 1)], perm=[0, 2, 3, 1]), ["Reshape"]),
    "Tile": (one_node("Tile", [X], whole(1, 2, 1, 3)), ["Tile", "Tile"]),
    "Expand": (one_node("Expand", [(2, 4, 1, 1)], whole(2, 4, 3, 3)), ["Tile", "Tile"]),
    "ReduceMean of planes": (one_node("ReduceMean", [X], axes=[2, 3]), ["Pooling"]),
    "ReduceMean of planes, flat": (
        one_node("ReduceMean", [X], axes=[-1, -2], keepdims=0), ["Pooling", "Flatten"],
    ),
    "ReduceMean of channels": (one_node("ReduceMean", [X], axes=[1]), ["Convolution"]),
    "ReduceMean of the rest": (
        one_node("ReduceMean", [(2, 3, 4)], axes=[1, 2], keepdims=0), ["Reduction"],
    ),
    "ReduceSum": (one_node("ReduceSum", [X], whole(3)), ["Reduction", "Reshape"]),
    "ReduceMax of planes": (one_node("ReduceMax", [X], axes=[2, 3]), ["Pooling"]),
    "GlobalAveragePool": (one_node("GlobalAveragePool", [X]), ["Pooling"]),
    "Pad": (one_node("Pad", [X], whole(0, 0, 1, 2, 0, 0, 0, 1), np.float32(3)), ["Pad"]),
    "Pad by reflection": (
        one_node("Pad", [X], whole(0, 0, 1, 2, 0, 0, 0, 1), mode="reflect"), ["Pad"],
    ),
    "DepthToSpace CRD": (one_node("DepthToSpace", [X], blocksize=2, mode="CRD"), ["PixelShuffle"]),
    "DepthToSpace DCR": (
        one_node("DepthToSpace", [X], blocksize=2), ["Reshape", "Permute", "Reshape"],
    ),
    "SpaceToDepth": (
        one_node("SpaceToDepth", [(1, 2, 4, 6)], blocksize=2), ["Reshape", "Permute", "Reshape"],
    ),
    "Dropout": (one_node("Dropout", [X]), []),
    "Selu": (one_node("Selu", [X]), ["ELU", "Power"]),
    "Celu": (one_node("Celu", [X], alpha=0.5), ["Power", "ELU", "Power"]),
    "Mish": (one_node("Mish", [X], opset=18), ["BNLL", "TanH", "Eltwise"]),
    "Gelu by tanh": (
        one_node("Gelu", [X], opset=20, approximate="tanh"),
        ["Power", "Eltwise", "TanH", "Power", "Eltwise"],
    ),
    "ThresholdedRelu": (one_node("ThresholdedRelu", [X], alpha=0.3), ["Threshold", "Eltwise"]),
    "InstanceNormalization": (
        one_node("InstanceNormalization", [X], numbers(4), numbers(4), epsilon=0.3),
        ["Reshape", "BatchNorm", "Reshape", "Scale"],
    ),
    "InstanceNormalization of one image": (
        one_node("InstanceNormalization", [(1, 4, 6, 7)], numbers(4), numbers(4)),
        ["BatchNorm", "Scale"],
    ),
    "LayerNormalization": (
        one_node("LayerNormalization", [X], numbers(6, 7), numbers(6, 7), axis=2, epsilon=0.2),
        ["Reshape", "BatchNorm", "Reshape", "Scale"],
    ),
    "GroupNormalization": (
        one_node("GroupNormalization", [X], numbers(4), numbers(4), num_groups=2, opset=21),
        ["Reshape", "BatchNorm", "Reshape", "Scale"],
    ),
    "ReduceMean of rows": (
        one_node("ReduceMean", [X], axes=[2], keepdims=0), ["Permute", "Reduction"],
    ),
    "ReduceL2 of channels": (
        one_node("ReduceL2", [X], axes=[1]), ["Permute", "Reduction", "Reshape", "Power"],
    ),
    "ReduceMax of channels": (one_node("ReduceMax", [X], axes=[1]), ["ArgMax"]),
    "ReduceMin of channels": (one_node("ReduceMin", [X], axes=[1]), ["Power", "ArgMax", "Power"]),
    "TopK": (
        model_of(
            [helper.make_node("TopK", ["x", "k"], ["y", "i"])], {"x": (2, 9)}, {"k": whole(3)}
        ),
        ["ArgMax"],
    ),
    "Slice of every second": (
        one_node("Slice", [X], whole(0, 1), whole(99, 99), whole(2, 3), whole(2, 2)),
        ["Convolution", "Slice", "Silence", "Convolution"],
    ),
    "Gather of several": (one_node("Gather", [X], whole(2, 0), axis=1),
                          ["Slice", "Silence", "Concat"]),
    "Gather of a run": (one_node("Gather", [X], whole(1, 2), axis=1), ["Slice", "Silence"]),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_give_as_layers_what_the_runtime_gives(name: str) -> None:
    model, layers = OPERATORS[name]
    if not layers:
        found = import_model(model)
        assert found.outputs == {"y": "x0"}
        return
    assert types(agrees(model)) == layers


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("size", [6, 7, 8, 9])
@pytest.mark.parametrize(
    ("kernel", "stride", "pads"),
    [
        (2, 2, [0, 0, 0, 0]), (3, 2, [0, 0, 0, 0]), (3, 2, [1, 1, 1, 1]), (3, 1, [1, 1, 1, 1]),
        (3, 2, [0, 0, 1, 1]), (2, 3, [0, 0, 0, 0]), (5, 3, [2, 2, 2, 2]), (3, 2, [1, 0, 1, 0]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ceil", [0, 1])
@pytest.mark.parametrize("include", [0, 1])
def test_pooling_has_the_runtimes_windows_and_divisors(
    kind: str, size: int, kernel: int, stride: int, pads: list[int], ceil: int, include: int
) -> None:
    if kind == "MaxPool" and include:
        return
    more = {"count_include_pad": include} if kind == "AveragePool" else {}
    model = one_node(
        kind, [(1, 2, size, size + 3)], kernel_shape=[kernel] * 2, strides=[stride] * 2,
        pads=pads, ceil_mode=ceil, opset=19, **more,
    )  # fmt: skip
    found = agrees(model)
    assert found.net.layer[1].type == "Pooling"
    assert not found.forks


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("kind", ["Conv", "MaxPool", "AveragePool"])
def test_tensorflows_pads_are_kept(kind: str, mode: str) -> None:
    weights = [numbers(3, 4, 3, 3)] if kind == "Conv" else []
    model = one_node(
        kind, [(1, 4, 8, 9)], *weights, kernel_shape=[3, 3], strides=[2, 2], auto_pad=mode
    )
    assert not agrees(model).forks


@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 2, 1, 2], [0, 1, 2, 0], [2, 0, 0, 2]])
@pytest.mark.parametrize("dilation", [1, 2])
def test_convolutions_with_uneven_pads_are_plain_convolutions(
    pads: list[int], dilation: int
) -> None:
    if dilation == 2 and any(a % 2 != b % 2 for a, b in zip(pads[:2], pads[2:], strict=True)):
        return
    model = one_node(
        "Conv", [(2, 4, 9, 8)], numbers(6, 2, 3, 3), numbers(6), group=2, strides=[2, 1],
        pads=pads, dilations=[dilation] * 2,
    )  # fmt: skip
    assert types(agrees(model)) == ["Convolution"]


@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0], [1, 0, 0, 1]])
@pytest.mark.parametrize("more", [[0, 0], [1, 1], [0, 1]])
def test_transposed_convolutions_are_plain_deconvolutions(pads: list[int], more: list[int]) -> None:
    model = one_node(
        "ConvTranspose", [(1, 4, 5, 4)], numbers(4, 3, 3, 3), numbers(6), group=2,
        strides=[2, 2], pads=pads, output_padding=more,
    )  # fmt: skip
    assert types(agrees(model)) == ["Deconvolution"]


@pytest.mark.parametrize(
    ("mode", "rule", "rounding", "size", "layer"),
    [
        ("nearest", "asymmetric", "floor", (12, 14), "Deconvolution"),
        ("nearest", "half_pixel", "round_prefer_floor", (12, 14), "Deconvolution"),
        ("nearest", "asymmetric", "floor", (9, 10), "Upsample"),
        ("linear", "align_corners", "floor", (11, 13), "Interp"),
        ("linear", "half_pixel", "floor", (12, 15), "BilinearInterpolate"),
        ("linear", "asymmetric", "floor", (12, 14), "Resize"),
    ],
)
def test_planes_are_resized_by_the_models_rule(
    mode: str, rule: str, rounding: str, size: tuple[int, int], layer: str
) -> None:
    model = one_node(
        "Resize", [(1, 4, 6, 7)], None, None, whole(1, 4, *size), mode=mode,
        coordinate_transformation_mode=rule, nearest_mode=rounding,
    )  # fmt: skip
    assert types(agrees(model)) == [layer]


def test_a_bias_added_later_becomes_the_layers_own() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Add", ["c", "b"], ["d"]),
        helper.make_node("Mul", ["d", "s"], ["e"]),
        helper.make_node("Add", ["e", "b"], ["y"]),
    ]
    constants = {"w": numbers(3, 4, 1, 1), "b": numbers(3, 1, 1), "s": numbers(3, 1, 1)}
    assert types(agrees(model_of(nodes, {"x": X}, constants))) == ["Convolution", "Scale"]


def test_a_bias_is_not_taken_into_a_layer_that_others_read() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Add", ["c", "b"], ["d"]),
        helper.make_node("Mul", ["c", "d"], ["y"]),
    ]
    model = model_of(nodes, {"x": X}, {"w": numbers(3, 4, 1, 1), "b": numbers(3, 1, 1)})
    assert types(agrees(model)) == ["Convolution", "Bias", "Eltwise"]


def test_a_layer_works_in_place_only_where_nobody_else_reads() -> None:
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["a"]),
        helper.make_node("Flatten", ["a"], ["flat"]),
        helper.make_node("Relu", ["flat"], ["b"]),
        helper.make_node("Tanh", ["a"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Add", ["b", "d"], ["y"]),
    ]
    agrees(model_of(nodes, {"x": X}, {}))


def test_pads_join_the_convolution_that_reads_them() -> None:
    nodes = [
        helper.make_node("Pad", ["x", "p"], ["padded"]),
        helper.make_node("Conv", ["padded", "w"], ["y"], strides=[2, 2], pads=[1, 0, 0, 0]),
    ]
    constants = {"p": whole(0, 0, 0, 1, 0, 0, 1, 2), "w": numbers(3, 4, 3, 3)}
    assert types(agrees(model_of(nodes, {"x": X}, constants))) == ["Convolution"]


def tensorflows(padding: str) -> Any:
    """A graph as TensorFlow's exporter writes it: images N×H×W×C, transposed around each Conv."""
    there, back = {"perm": [0, 3, 1, 2]}, {"perm": [0, 2, 3, 1]}
    nodes = [
        helper.make_node("Transpose", ["x"], ["x1"], **there),
        helper.make_node("Conv", ["x1", "w1"], ["c1"], strides=[2, 2], auto_pad=padding),
        helper.make_node("Transpose", ["c1"], ["t1"], **back),
        helper.make_node("Transpose", ["t1"], ["x2"], **there),
        helper.make_node("Pad", ["x2", "p"], ["padded"]),
        helper.make_node("Conv", ["padded", "w2", "b"], ["c2"], strides=[2, 2]),
        helper.make_node("Clip", ["c2", "zero", "six"], ["r2"]),
        helper.make_node("Transpose", ["r2"], ["t2"], **back),
        helper.make_node("Add", ["t2", "bias"], ["a2"]),
        helper.make_node("ReduceMean", ["a2"], ["m"], axes=[1, 2], keepdims=1),
        helper.make_node("Squeeze", ["m", "plane"], ["s"]),
        helper.make_node("MatMul", ["s", "fc"], ["f"]),
        helper.make_node("Add", ["f", "fb"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["y"], axis=-1),
    ]
    constants = {
        "w1": numbers(5, 3, 3, 3), "w2": numbers(6, 5, 3, 3), "b": numbers(6),
        "p": whole(0, 0, 0, 0, 0, 0, 1, 1), "zero": np.float32(0), "six": np.float32(6),
        "bias": numbers(6), "plane": whole(1, 2), "fc": numbers(6, 4), "fb": numbers(4),
    }  # fmt: skip
    return model_of(nodes, {"x": (2, 12, 11, 3)}, constants)


@pytest.mark.parametrize("padding", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_graphs_of_tensorflow_agree(padding: str) -> None:
    found = agrees(tensorflows(padding))
    layers = types(found)
    assert layers[:3] == [
        "Permute",
        "Convolution",
        "Convolution",
    ]  # one transpose takes another back
    assert layers[-2:] == ["InnerProduct", "Softmax"]


def test_what_no_output_depends_on_is_left_out() -> None:
    nodes = [
        helper.make_node("Split", ["x", "sizes"], ["a", "b"], axis=1),
        helper.make_node("Conv", ["x", "w"], ["dead"]),
        helper.make_node("Sigmoid", ["dead"], ["deader"]),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    constants = {"sizes": whole(1, 3), "w": numbers(2, 4, 1, 1)}
    found = agrees(model_of(nodes, {"x": X}, constants))
    assert types(found) == ["Slice", "ReLU", "Silence"]
    assert not found.weights


def test_a_blob_that_two_transposes_lead_back_to_is_not_overwritten() -> None:
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["a"]),
        helper.make_node("Transpose", ["a"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("Transpose", ["t"], ["b"], perm=[0, 3, 1, 2]),
        helper.make_node("Neg", ["b"], ["c"]),
        helper.make_node("Transpose", ["t"], ["d"], perm=[0, 3, 1, 2]),
        helper.make_node("Add", ["c", "d"], ["y"]),
    ]
    assert types(agrees(model_of(nodes, {"x": X}, {}))) == ["Sigmoid", "Power", "Eltwise"]


def test_the_first_blob_that_differs_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Tanh", ["c"], ["t"]),
        helper.make_node("Conv", ["t", "w"], ["y"]),
    ]
    onnx.save(model_of(nodes, {"x": X}, {"w": numbers(4, 4, 1, 1)}), tmp_path / "m.onnx")

    def changed(found: Imported) -> Any:
        found.net.layer[2].type = "Sigmoid"
        return loaded_net(found)

    monkeypatch.setattr(import_, "loaded_net", changed)
    with pytest.raises(Error) as refused:
        import_.import_onnx(
            tmp_path / "m.onnx", tmp_path / "n.prototxt", tmp_path / "w.caffemodel", verify=True
        )
    notes = refused.value.diagnostics[0].notes
    assert [note.split(":")[0] for note in notes] == ["y", "the first blob that differs"]
    assert notes[1].split()[5] == "c:"  # which Tanh has overwritten
    assert not list(tmp_path.glob("n.*"))


def test_constants_among_blobs_are_parameter_layers() -> None:
    nodes = [
        helper.make_node("Concat", ["x", "c"], ["a"], axis=1),
        helper.make_node("Relu", ["a"], ["y"]),
        helper.make_node("Add", ["c", "c"], ["z"]),
    ]
    model = model_of(nodes, {"x": X}, {"c": numbers(2, 1, 6, 7)}, outputs=("y", "z"))
    assert types(agrees(model)) == ["Parameter", "Concat", "ReLU", "Parameter"]


def test_shape_arithmetic_is_done_while_reading() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["n"]),
        helper.make_node("Unsqueeze", ["n", "first"], ["n1"]),
        helper.make_node("Concat", ["n1", "rest"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["x", "wanted"], ["y"]),
    ]
    constants = {"zero": np.array(0, np.int64), "first": whole(0), "rest": whole(-1)}
    assert types(agrees(model_of(nodes, {"x": X}, constants))) == ["Flatten"]


def test_open_axes_are_chosen_by_the_user() -> None:
    model = one_node("Relu", [("n", 3, "h", "w")])
    with pytest.raises(Error, match="open on axis 2"):
        import_model(model)
    assert import_model(model, batch=5, size=(8, 9)).inputs == {"x0": (5, 3, 8, 9)}


def test_all_that_cannot_be_read_is_told_at_once() -> None:
    nodes = [
        helper.make_node("Erf", ["x"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("GRU", ["x", "w", "w"], ["c"], name="second", hidden_size=1),
        helper.make_node("Add", ["b", "c"], ["y"]),
    ]
    with pytest.raises(Error) as refused:
        import_model(model_of(nodes, {"x": X}, {"w": numbers(1, 3, 4)}))
    told = [diagnostic.message for diagnostic in refused.value.diagnostics]
    assert [message.split(" cannot")[0] for message in told] == ['Erf "first"', 'GRU "second"']
    assert "unrolled" in told[1]


LOST = {"Pooling-max_k1s3_window_outside"}
"""Cases whose ONNX form has no way back: a window outside the plane, whose maximum is nowhere."""


def comes_back(case: GoldenCase) -> bool:
    """Says whether a case is one of inference that ONNX tells in operators that are read."""
    outside = {*REFUSED, "DetectionOutput", "Silence"}
    return not (case.types & outside or str(case) in LOST)


CASES = [c for c in [*known_cases("layers"), *known_cases("layers_ssd")] if comes_back(c)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_net_comes_back_from_onnx(case: GoldenCase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case.path.parent)
    net = GoldenRun(case).net
    exported = export_net(net)
    found = import_model(exported.model)
    inputs = random_inputs(net)
    wanted = net.forward(**inputs)
    back = loaded_net(found)
    back.forward(**{name: values for name, values in inputs.items() if name in back.inputs})
    for blob, output in exported.outputs.items():
        values = back.blobs[found.outputs[output]].data
        assert Difference.between(blob, values, wanted[blob]).is_small
