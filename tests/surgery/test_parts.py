"""Parts of nets, names, nets joined: what is left gives what it gave."""

from __future__ import annotations

import numpy as np
import pytest
from surgery_nets import conv, fc, image, layer, output, trained

from protonet import Error
from protonet.ir.protonet_pb2 import TRAIN
from protonet.surgery.deploy import deploy
from protonet.surgery.merge import merge
from protonet.surgery.names import rename
from protonet.surgery.subnet import drop_layers, extract, prune_dead
from protonet.surgery.trained_net import TrainedNet

TWO_HEADS = (
    image(1, 2, 6, 6)
    + conv("conv1", "data", 4, 3)
    + layer("relu1", "ReLU", "conv1", top="conv1")
    + layer("drop1", "Dropout", "conv1")
    + fc("fa", "drop1", 5)
    + fc("fb", "conv1", 3)
    + layer("prob", "Softmax", "fb")
)
VALUES = np.random.default_rng(2).normal(size=(1, 2, 6, 6)).astype(np.float32)


def _layers(net: TrainedNet) -> list[str]:
    return [one.name for one in net.net.layer]


def test_part_that_leads_to_an_output_gives_the_same() -> None:
    net = trained(TWO_HEADS)
    part = extract(net, ["fa"])
    assert _layers(part) == ["data", "conv1", "relu1", "drop1", "fa"]
    np.testing.assert_array_equal(output(part, VALUES, "fa"), output(net, VALUES, "fa"))


def test_part_behind_a_blob_takes_it_as_input() -> None:
    net = trained(TWO_HEADS)
    part = extract(net, ["prob"], ["conv1"])
    assert _layers(part) == ["conv1", "fb", "prob"]
    assert part.net.layer[0].type == "Input"
    features = output(net, VALUES, "drop1")
    np.testing.assert_array_equal(output(part, features, "prob"), output(net, VALUES, "prob"))


def test_part_behind_one_of_two_blobs_of_a_layer_needs_the_other_too() -> None:
    halves = layer("halves", "Slice", "data", top="a b") + layer("sum", "Eltwise", "a b")
    net = trained(image(1, 2, 6, 6) + halves)
    with pytest.raises(Error, match='makes "b", which is to be an input, and "a"'):
        extract(net, ["sum"], ["b"])
    assert _layers(extract(net, ["sum"], ["b", "a"])) == ["b", "a", "sum"]


def test_layers_that_live_on_a_dropped_one_go_with_it() -> None:
    assert _layers(drop_layers(trained(TWO_HEADS), ["fb"])) == [
        "data", "conv1", "relu1", "drop1", "fa",
    ]  # fmt: skip


def test_in_place_layer_is_dropped_alone() -> None:
    assert _layers(drop_layers(trained(TWO_HEADS), ["relu1"])) == [
        "data", "conv1", "drop1", "fa", "fb", "prob",
    ]  # fmt: skip


def test_bridged_layer_leaves_its_bottom_to_its_readers() -> None:
    net = drop_layers(trained(TWO_HEADS), ["drop1"], bridge=True)
    assert list(net.layer("fa").bottom) == ["conv1"]
    np.testing.assert_array_equal(
        output(net, VALUES, "fa"), output(trained(TWO_HEADS), VALUES, "fa")
    )


def test_layer_of_two_bottoms_cannot_be_bridged() -> None:
    text = TWO_HEADS + layer("sum", "Eltwise", "fa fa")
    with pytest.raises(Error, match=r"^net\.prototxt:8:.*one bottom and one top"):
        drop_layers(trained(text), ["sum"], bridge=True)


def test_unknown_layer_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(Error, match='did you mean "conv1"'):
        drop_layers(trained(TWO_HEADS), ["conv"])


def test_dead_layers_are_those_that_only_silence_reads() -> None:
    text = (
        TWO_HEADS
        + layer("silence", "Silence", "fa").replace('top: "silence"', "")
        + image(1, 3, name="unread")
    )
    assert _layers(prune_dead(trained(text))) == ["data", "conv1", "relu1", "fb", "prob"]


def test_dead_layers_are_those_behind_no_wanted_output() -> None:
    assert _layers(prune_dead(trained(TWO_HEADS), ["fa"])) == [
        "data", "conv1", "relu1", "drop1", "fa",
    ]  # fmt: skip


def test_blob_is_renamed_with_its_layer() -> None:
    net = rename(trained(TWO_HEADS), {"conv1": "first"}, {"fa": "scores"})
    assert _layers(net)[1] == "first"
    assert list(net.layer("relu1").bottom) == ["first"]
    assert list(net.layer("fa").top) == ["scores"]
    np.testing.assert_array_equal(
        output(net, VALUES, "scores"), output(trained(TWO_HEADS), VALUES, "fa")
    )


def test_name_that_is_taken_is_refused() -> None:
    with pytest.raises(Error, match='"fa" and "fb" would both be named "fb"'):
        rename(trained(TWO_HEADS), {"fa": "fb"})


def test_second_net_reads_what_the_first_makes() -> None:
    first = extract(trained(TWO_HEADS), ["conv1"])
    second = extract(trained(TWO_HEADS), ["prob"], ["conv1"])
    both = merge(first, second, {"conv1": "conv1"})
    np.testing.assert_array_equal(
        output(both, VALUES, "prob"), output(trained(TWO_HEADS), VALUES, "prob")
    )


def test_two_nets_read_one_input_under_a_prefix() -> None:
    first, second = trained(TWO_HEADS, 1), trained(TWO_HEADS, 2)
    both = merge(first, second, {"data": "data"}, prefix="b/")
    assert sorted(both.view().graph.outputs) == ["b/fa", "b/prob", "fa", "prob"]
    np.testing.assert_array_equal(output(both, VALUES, "fa"), output(first, VALUES, "fa"))
    np.testing.assert_array_equal(output(both, VALUES, "b/fa"), output(second, VALUES, "fa"))


def test_two_nets_that_change_their_input_in_place_both_read_it_as_it_is_fed() -> None:
    text = (
        image(1, 2, 6, 6)
        + layer("half", "Power", "data", "power_param { scale: 0.5 shift: 1 }", top="data")
        + layer("relu", "ReLU", "data", top="data")
        + fc("fc", "data", 3)
    )
    first, second = trained(text, 1), trained(text, 2)
    both = merge(first, second, {"data": "data"}, prefix="b/")
    assert sorted(both.view().graph.outputs) == ["b/fc", "fc"]
    np.testing.assert_array_equal(output(both, VALUES, "fc"), output(first, VALUES, "fc"))
    np.testing.assert_array_equal(output(both, VALUES, "b/fc"), output(second, VALUES, "fc"))


def test_names_that_both_nets_have_are_refused() -> None:
    with pytest.raises(Error, match=r'both nets have layer "conv1".*\n.*--prefix'):
        merge(trained(TWO_HEADS), trained(TWO_HEADS), {"data": "data"})


def test_joint_of_another_shape_is_refused() -> None:
    with pytest.raises(Error, match='"conv1" is 1×4×4×4, but "data" of the second net is 1×2×6×6'):
        merge(trained(TWO_HEADS), trained(TWO_HEADS), {"conv1": "data"}, prefix="b/")


DATA = """layer { name: "data" type: "Data" top: "data" top: "label" %s
  data_param { source: "nowhere" batch_size: 8 } transform_param { crop_size: 6 } }
"""
TRAINS = (
    DATA % "include { phase: TRAIN }"
    + DATA % "include { phase: TEST }"
    + conv("conv1", "data", 4, 3, 'weight_filler { type: "xavier" }').replace(
        " }\n", " param { lr_mult: 2 } }\n"
    )
    + fc("aux", "conv1", 5)
    + layer("loss1", "SoftmaxWithLoss", "aux label", "loss_weight: 0.3")
    + fc("ip", "conv1", 5)
    + layer("accuracy", "Accuracy", "ip label", "include { phase: TEST }")
    + layer("loss", "SoftmaxWithLoss", "ip label", "loss_weight: 1")
)


def test_net_for_use_has_no_data_loss_or_auxiliary_head() -> None:
    net = deploy(trained_without_data(TRAINS))
    assert [(one.name, one.type) for one in net.net.layer] == [
        ("data", "Input"), ("conv1", "Convolution"), ("ip", "InnerProduct"), ("prob", "Softmax"),
    ]  # fmt: skip
    assert list(net.net.layer[0].input_param.shape[0].dim) == [1, 3, 6, 6]
    assert not net.layer("conv1").param
    assert not net.layer("conv1").convolution_param.HasField("weight_filler")


def test_net_for_use_keeps_all_heads_if_asked() -> None:
    net = deploy(trained_without_data(TRAINS), shape=(1, 8, 8), all_heads=True)
    assert net.view().graph.outputs == ["loss1_prob", "loss_prob"]
    assert list(net.net.layer[0].input_param.shape[0].dim) == [1, 1, 8, 8]


def test_net_for_use_of_a_regression_gives_what_was_regressed() -> None:
    text = (
        DATA % ""
        + conv("conv1", "data", 4, 3)
        + fc("pred", "conv1", 1)
        + layer("loss", "EuclideanLoss", "pred label")
    )
    net = deploy(trained_without_data(text))
    assert [one.name for one in net.net.layer] == ["data", "conv1", "pred"]


def test_net_for_use_of_an_autoencoder_ends_in_its_reconstruction() -> None:
    text = (
        (DATA % "").replace('top: "label"', "")
        + layer("flat", "Flatten", "data")
        + fc("code", "data", 2)
        + fc("decoded", "code", 108)
        + layer("loss", "SigmoidCrossEntropyLoss", "decoded flat")
        + layer("pixels", "Sigmoid", "decoded")
        + layer("error", "EuclideanLoss", "pixels flat")
    )
    net = deploy(trained_without_data(text))
    assert [one.name for one in net.net.layer] == ["data", "code", "decoded", "pixels"]


@pytest.mark.parametrize(
    ("made", "names"),
    [
        (layer("scores", "Softmax", "ip") + layer("acc", "Accuracy", "scores label"), ["scores"]),
        (layer("prob", "ReLU", "ip"), ["prob", "loss_prob"]),
    ],
)
def test_net_for_use_takes_the_scores_that_are_there_and_no_name_twice(
    made: str, names: list[str]
) -> None:
    text = DATA % "" + fc("ip", "data", 5) + made + layer("loss", "SoftmaxWithLoss", "ip label")
    net = deploy(trained_without_data(text))
    assert [one.name for one in net.net.layer] == ["data", "ip", *names]
    assert net.net.layer[-1].type == "Softmax"


def trained_without_data(text: str) -> TrainedNet:
    from protonet.ir.document import net_document

    document = net_document(text, "net.prototxt")
    return TrainedNet(document.message, document.source)


def test_net_of_which_parts_are_only_reshaped_keeps_them() -> None:
    halves = layer("halves", "Slice", "data", top="a b") + layer("flat", "Flatten", "b")
    net = trained(image(1, 2, 6, 6) + halves)
    assert _layers(deploy(net)) == ["data", "halves", "flat"]


def test_net_is_judged_in_the_phases_it_is_meant_for() -> None:
    phases = [view.phase for view in trained_without_data(TRAINS).views()]
    assert TRAIN in phases
    assert len(phases) == 2
