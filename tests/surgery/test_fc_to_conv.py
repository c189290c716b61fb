"""Fully connected layers as convolutions: what the net gives on windows, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from known_nets import vgg16
from surgery_nets import conv, fc, image, layer, output, pool, trained

from protonet import Error
from protonet.ir.document import net_document
from protonet.surgery.fc_to_conv import fc_to_conv
from protonet.surgery.reach import reach_of
from protonet.surgery.trained_net import TrainedNet, read_trained_net
from protonet.surgery.verify import verify_sliding

BASE = image(1, 2, 9, 11) + conv("conv1", "data", 4, 3) + pool("pool1", "conv1", 3, 2)  # 4×3×4
POINT = layer("pool5", "Pooling", "pool1", "pooling_param { pool: AVE global_pooling: true }")

HEADS = {
    "one layer": fc("fc", "pool1", 5),
    "two layers, ReLU and Dropout between": fc("fc1", "pool1", 6)
    + layer("relu", "ReLU", "fc1", top="fc1")
    + layer("drop", "Dropout", "fc1", top="fc1")
    + fc("fc", "fc1", 5),
    "no bias": fc("fc1", "pool1", 6, "bias_term: false") + fc("fc", "fc1", 5, "bias_term: false"),
    "transposed": fc("fc1", "pool1", 6, "transpose: true") + fc("fc", "fc1", 5, "transpose: true"),
    "negative axis": fc("fc1", "pool1", 6, "axis: -3") + fc("fc", "fc1", 5, "axis: -1"),
    "Scale and Bias over all axes from the last on": fc("fc1", "pool1", 6)
    + layer("scale", "Scale", "fc1", "scale_param { axis: -1 num_axes: -1 }", top="fc1")
    + layer("bias", "Bias", "fc1", "bias_param { axis: -1 num_axes: -1 }", top="fc1")
    + fc("fc", "fc1", 5),
    "BatchNorm, Scale and PReLU between": fc("fc1", "pool1", 6)
    + layer("bn", "BatchNorm", "fc1", top="fc1")
    + layer("scale", "Scale", "fc1", "scale_param { bias_term: true axis: -1 }", top="fc1")
    + layer("prelu", "PReLU", "fc1", top="fc1")
    + fc("fc", "fc1", 5),
    "flattened before": layer("flat", "Flatten", "pool1") + fc("fc", "flat", 5),
    "reshaped before, then in place": layer(
        "flat", "Reshape", "pool1", "reshape_param { shape { dim: 0 dim: -1 } }"
    )
    + layer("relu", "ReLU", "flat", top="flat")
    + fc("fc", "flat", 5),
    "reshaped between": fc("fc1", "pool1", 6)
    + layer("map", "Reshape", "fc1", "reshape_param { shape { dim: 0 dim: 6 dim: 1 dim: 1 } }")
    + layer("again", "Flatten", "map")
    + fc("fc", "again", 5),
    "pooled over the whole plane": POINT + fc("fc", "pool5", 5),
    "pooled over the whole plane, flattened": POINT
    + layer("flat", "Flatten", "pool5")
    + layer("bn", "BatchNorm", "flat", top="flat")
    + fc("fc", "flat", 5),
    "joined and cut": fc("fa", "pool1", 6)
    + fc("fb", "pool1", 4)
    + layer("cat", "Concat", "fa fb", "concat_param { axis: -1 }")
    + layer("cut", "Slice", "cat", "slice_param { axis: 1 slice_point: 3 }", top="left right")
    + layer("silence", "Silence", "left").replace('top: "silence"', "")
    + fc("fc", "right", 5),
    "summed": fc("fa", "pool1", 5) + fc("fb", "pool1", 5) + layer("fc", "Eltwise", "fa fb"),
    "two flattened volumes joined": layer("flat", "Flatten", "pool1")
    + layer("minus", "Power", "pool1", "power_param { scale: -1 }")
    + layer("flat2", "Flatten", "minus")
    + layer("cat", "Concat", "flat flat2")
    + fc("fc", "cat", 5),
}


def _same_on_windows(text: str, stride: int = 2) -> None:
    """The net slid over a larger image gives on each window what the net itself gives there."""
    net = trained(text)
    values = np.random.default_rng(3).normal(size=(1, 2, 15, 15)).astype(np.float32)
    slid = fc_to_conv(net)
    name = slid.renamed.get("fc", "fc")
    maps = output(slid.trained, values, name)
    assert maps.shape[1:] == (5, 4, 3)
    for i in range(4):
        for j in range(3):
            window = values[:, :, i * stride : i * stride + 9, j * stride : j * stride + 11]
            alone = output(net, window, "fc")
            assert np.abs(maps[0, :, i, j] - alone[0]).max() <= 1e-5 * np.abs(alone).max()


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_sliding_gives_what_the_net_gives_on_each_window(head: str) -> None:
    _same_on_windows(BASE + head)


def test_layers_that_share_weights_share_them_as_convolutions() -> None:
    shared = 'param { name: "w" } param { name: "b" }'
    text = (
        BASE
        + layer("minus", "Power", "pool1", "power_param { scale: -1 }")
        + fc("fa", "pool1", 5, rest=shared)
        + fc("fb", "minus", 5, rest=shared)
        + layer("fc", "Eltwise", "fa fb", "eltwise_param { coeff: 1 coeff: 2 }")
    )
    _same_on_windows(text)


def test_weights_shared_with_a_layer_that_is_no_convolution_are_shared_by_count() -> None:
    shared = 'param { name: "w" }'
    text = (
        BASE
        + image(1, 48, name="vector")
        + fc("other", "vector", 5, "bias_term: false", shared)
        + fc("fc", "pool1", 5, "bias_term: false", shared)
        + layer("silence", "Silence", "other").replace('top: "silence"', "")
    )
    _same_on_windows(text)


def test_head_without_input_layers_of_its_own_keeps_all_outputs() -> None:
    text = BASE + fc("fa", "pool1", 5) + fc("fb", "pool1", 3) + layer("prob", "Softmax", "fb")
    slid = fc_to_conv(trained(text), size=(15, 15))
    graph = slid.trained.view().graph
    shapes = {name: graph.blob_shapes[graph.blob_names.index(name)] for name in graph.outputs}
    assert shapes == {"fa-conv": (1, 5, 4, 3), "prob": (1, 3, 4, 3)}
    assert slid.renamed == {"fa": "fa-conv", "fb": "fb-conv"}


def test_net_that_ends_in_pooling_over_the_whole_plane_slides() -> None:
    slid = fc_to_conv(trained(BASE + POINT), size=(15, 15))
    assert slid.trained.layer("pool5").pooling_param.kernel_h == 3
    assert slid.trained.layer("pool5").pooling_param.kernel_w == 4
    graph = slid.trained.view().graph
    assert graph.blob_shapes[graph.blob_names.index("pool5")] == (1, 4, 4, 3)


def test_flattening_that_others_need_as_it_is_stays() -> None:
    text = BASE + layer("flat", "Flatten", "pool1") + fc("fc", "pool1", 5)
    slid = fc_to_conv(trained(text))
    assert [one.type for one in slid.trained.net.layer][-2:] == ["Flatten", "Convolution"]


def test_reshaped_vector_that_is_an_output_beside_others_stays_one() -> None:
    shape = "reshape_param { shape { dim: 0 dim: -1 dim: 1 dim: 1 } }"
    text = BASE + fc("fa", "pool1", 5) + layer("map", "Reshape", "fa", shape) + fc("fb", "fa", 3)
    graph = fc_to_conv(trained(text), size=(15, 15)).trained.view().graph
    shapes = {name: graph.blob_shapes[graph.blob_names.index(name)] for name in graph.outputs}
    assert shapes == {"map": (1, 5, 4, 3), "fb-conv": (1, 3, 4, 3)}


def test_names_of_blobs_are_told_through_all_that_goes() -> None:
    text = BASE + fc("fa", "pool1", 5) + layer("flat", "Flatten", "fa")
    slid = fc_to_conv(trained(text + layer("last", "Flatten", "flat")))
    assert slid.trained.view().graph.outputs == ["fa-conv"]
    assert slid.renamed == {"fa": "fa-conv", "flat": "fa-conv", "last": "fa-conv"}


def test_flattened_copy_that_is_worked_on_in_place_leaves_the_original_alone() -> None:
    text = (
        BASE
        + layer("flat", "Flatten", "pool1")
        + layer("relu", "ReLU", "flat", top="flat")
        + fc("fa", "flat", 5)
        + fc("fb", "pool1", 5)
        + layer("fc", "Eltwise", "fa fb")
    )
    _same_on_windows(text)


REFUSED = {
    "axis": (fc("fc", "pool1", 5, "axis: 2"), 4, "axis 2 makes no map"),
    "statistics for each place": (
        layer("flat", "Flatten", "pool1")
        + layer("bn", "BatchNorm", "flat", top="flat")
        + fc("fc", "flat", 5),
        5,
        "a value of its own for each place",
    ),
    "vector made a plane": (
        fc("fc", "pool1", 8)
        + layer("map", "Reshape", "fc", "reshape_param { shape { dim: 0 dim: 2 dim: 2 dim: 2 } }"),
        5,
        "gives a vector another shape",
    ),
    "joined with another input": (
        image(1, 5, name="more") + fc("fc", "pool1", 5) + layer("sum", "Eltwise", "fc more"),
        6,
        "another bottom is no map",
    ),
    "layer that sees the whole vector": (
        fc("fc", "pool1", 6) + layer("sum", "Reduction", "fc", "reduction_param { axis: 1 }"),
        5,
        "Reduction does not work place by place",
    ),
    "shared the other way round": (
        fc("fa", "pool1", 6, rest='param { name: "w" }')
        + fc("fb", "fa", 48, "transpose: true", 'param { name: "w" }'),
        4,
        "the other way round",
    ),
}


@pytest.mark.parametrize(("head", "line", "words"), REFUSED.values(), ids=REFUSED)
def test_layer_that_cannot_slide_is_refused_at_its_place(head: str, line: int, words: str) -> None:
    document = net_document(BASE + head, "net.prototxt")
    with pytest.raises(Error, match=words) as refused:
        fc_to_conv(TrainedNet(document.message, document.source))
    assert str(refused.value).startswith(f"net.prototxt:{line}:")


def test_net_without_fully_connected_layers_is_refused() -> None:
    with pytest.raises(Error, match="nothing to convert"):
        fc_to_conv(trained(BASE))


def test_vgg16_over_384_gives_a_map_of_6_by_6() -> None:
    document = net_document(vgg16(), "vgg.prototxt")
    slid = fc_to_conv(TrainedNet(document.message, document.source), size=(384, 384))
    graph = slid.trained.view().graph
    assert graph.blob_shapes[graph.blob_names.index("prob")] == (1, 1000, 6, 6)
    reach = reach_of(graph, "prob")
    assert reach is not None
    assert reach.stride == (32, 32)


def _no_padding(size: int) -> str:
    """A VGG-like net without padding whose stride is 32; 224×224 gives one place."""
    text, last = image(1, 3, size, size), "data"
    for stage, (outputs, kernel) in enumerate(((4, 3), (6, 4), (6, 3), (8, 3), (8, 3))):
        text += conv(f"conv{stage}", last, outputs, kernel) + layer(
            f"relu{stage}", "ReLU", f"conv{stage}", top=f"conv{stage}"
        )
        text += pool(last := f"pool{stage}", f"conv{stage}", 2, 2)
    return text + fc("fc6", last, 16) + fc("fc8", "fc6", 10)


def test_windows_of_a_net_without_padding_are_equal_at_the_border_too() -> None:
    net = trained(_no_padding(224))
    slid = fc_to_conv(net, size=(384, 384))
    values = np.random.default_rng(5).normal(size=(3, 384, 384)).astype(np.float32)
    (found,) = verify_sliding(net, slid, values)
    assert found.differences.shape == (6, 6)
    assert found.stride == (32, 32)
    assert found.border.sum() == 20
    assert found.at_border is not None
    assert found.inside is not None
    assert found.at_border <= 1e-5
    assert found.inside <= 1e-5


def test_layers_that_make_windows_differ_are_named() -> None:
    padded = image(1, 2, 8, 8) + conv("conv1", "data", 4, 3, "pad: 1") + fc("fc", "conv1", 5)
    hanging = image(1, 2, 8, 8) + pool("pool1", "data", 3, 2) + fc("fc", "pool1", 5)
    assert fc_to_conv(trained(padded)).trained.changes[-1].startswith('layer "conv1": at its edges')
    assert fc_to_conv(trained(hanging)).trained.changes[-1].startswith('layer "pool1": at its')
    assert "edges" not in "".join(fc_to_conv(trained(_no_padding(224))).trained.changes)


def test_verification_tells_border_and_inner_windows_of_a_padded_net_apart() -> None:
    text = image(1, 2, 8, 8) + conv("conv1", "data", 4, 3, "pad: 1") + fc("fc", "conv1", 5)
    net = trained(text)
    values = np.random.default_rng(5).normal(size=(2, 10, 10)).astype(np.float32)
    (found,) = verify_sliding(net, fc_to_conv(net), values)
    assert found.border.tolist() == [[True] * 3, [True, False, True], [True] * 3]
    assert found.inside == found.differences[1, 1] > 1e-3
    assert found.at_border == found.differences[found.border].max()


def test_written_net_and_weights_give_the_same_again(tmp_path: Path) -> None:
    slid = fc_to_conv(trained(BASE + HEADS["transposed"]))
    slid.trained.write(tmp_path / "net.prototxt", tmp_path / "net.caffemodel")
    again = read_trained_net(tmp_path / "net.prototxt", tmp_path / "net.caffemodel")
    values = np.random.default_rng(3).normal(size=(1, 2, 15, 15)).astype(np.float32)
    np.testing.assert_array_equal(
        output(again, values, "fc-conv"), output(slid.trained, values, "fc-conv")
    )


def test_trained_lenet_slides_as_it_reads_each_window(shared: Path) -> None:
    models = shared / "models/lenet_everpeace"
    net = read_trained_net(models / "lenet.prototxt", models / "lenet_iter_10000.caffemodel")
    values = np.random.default_rng(5).uniform(size=(1, 60, 48)).astype(np.float32)
    (found,) = verify_sliding(net, fc_to_conv(net), values)
    assert found.differences.shape == (9, 6)
    assert found.differences.max() <= 1e-5


def test_net_whose_data_are_not_there_is_not_called_one_without_planes() -> None:
    data = (
        'layer { name: "data" type: "Data" top: "data" data_param { source: "x" batch_size: 1 } }'
    )
    text = data + conv("conv1", "data", 4, 3) + fc("fc", "conv1", 5)
    document = net_document(text, "net.prototxt")
    with pytest.raises(Error, match=r'the shape of "conv1" is not known(.|\n)*surgery deploy'):
        fc_to_conv(TrainedNet(document.message, document.source))
