"""caffe.Net: what pycaffe's scripts do with a net."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

import protonet
import protonet.caffe as caffe


@pytest.fixture
def net(net_file: str) -> caffe.Net:
    made = caffe.Net(net_file, caffe.TRAIN)
    label = made.blobs["label"].data
    label[...] = np.random.default_rng(0).integers(13, size=label.shape)
    return made


def test_arrays_outlive_the_net(net_file: str) -> None:
    net = caffe.Net(net_file, caffe.TRAIN)
    net.forward()
    held = [*net.blobs.values(), *(blob for blobs in net.params.values() for blob in blobs)]
    before = [blob.data.copy() for blob in held]
    del net
    for blob, values in zip(held, before, strict=True):
        np.testing.assert_array_equal(blob.data, values)
        assert blob.diff.shape == values.shape


def test_names_are_ordered(net: caffe.Net) -> None:
    assert list(net.blobs) == ["data", "label", "conv", "scores", "loss"]
    assert list(net._blob_names) == list(net.blobs)
    assert list(net._layer_names) == ["data", "conv", "ip", "loss"]
    assert list(net.params) == ["conv", "ip"]
    assert (net.inputs, net.outputs) == ([], ["loss"])
    assert net.top_names == OrderedDict(
        [("data", ["data", "label"]), ("conv", ["conv"]), ("ip", ["scores"]), ("loss", ["loss"])]
    )
    assert net.bottom_names == OrderedDict(
        [("data", []), ("conv", ["data"]), ("ip", ["conv"]), ("loss", ["scores", "label"])]
    )
    assert net.blob_loss_weights["loss"] == 1
    assert net.blob_loss_weights["conv"] == 0
    assert net._bottom_ids(3) == [3, 1]
    assert net._top_ids(0) == [0, 1]


def test_layers_tell_type_and_blobs(net: caffe.Net) -> None:
    assert [layer.type for layer in net.layers] == [
        "DummyData", "Convolution", "InnerProduct", "SoftmaxWithLoss",
    ]  # fmt: skip
    assert list(net.layer_dict) == list(net._layer_names)
    for name, layer in zip(net._layer_names, net.layers, strict=True):
        assert net.layer_dict[name] is layer
        assert isinstance(layer, caffe.Layer)
    assert net.layers[1].blobs[0].data is net.params["conv"][0].data
    assert [len(layer.blobs) for layer in net.layers] == [0, 2, 2, 0]
    assert net.layers[-1].type == "SoftmaxWithLoss"


def test_labels_that_a_script_fills_in_stay(net: caffe.Net) -> None:
    labels = net.blobs["label"].data.copy()
    assert labels.any()
    net.forward()
    net.forward()
    np.testing.assert_array_equal(net.blobs["label"].data, labels)


def test_a_stretch_of_layers_runs_alone(net: caffe.Net) -> None:
    conv = net.blobs["conv"]
    conv.data[:] = np.random.default_rng(1).uniform(size=conv.data.shape)
    out = net.forward(start="ip", end="ip")
    assert list(out) == ["scores"]
    weight, bias = (blob.data for blob in net.params["ip"])
    np.testing.assert_allclose(
        out["scores"], conv.data.reshape(5, -1) @ weight.T + bias, rtol=1e-4, atol=1e-5
    )
    scores = net.blobs["scores"]
    scores.diff[:] = np.random.default_rng(2).uniform(size=scores.data.shape)
    back = net.backward(start="ip", end="ip")
    assert list(back) == ["conv"]
    np.testing.assert_allclose(
        back["conv"].reshape(5, -1), scores.diff @ weight, rtol=1e-4, atol=1e-4
    )


def test_more_blobs_can_be_asked_for(net: caffe.Net) -> None:
    assert set(net.forward(blobs=["conv"])) == {"loss", "conv"}
    assert set(net.backward(diffs=["conv", "scores"])) == {"conv", "scores"}


def test_returned_arrays_are_live(deploy_file: str) -> None:
    net = caffe.Net(deploy_file, caffe.TEST)
    first = net.forward(data=np.ones((4, 3, 6, 6)))["prob"]
    kept = first.copy()
    net.forward(data=np.random.default_rng(0).normal(size=(4, 3, 6, 6)))
    assert not np.array_equal(first, kept)


def test_gradients_of_parameters_are_cleared(net: caffe.Net) -> None:
    net.forward()
    net.backward()
    diff = net.params["conv"][0].diff
    assert np.abs(diff).max() > 0
    net.clear_param_diffs()
    assert not diff.any()


def test_inputs_are_judged_as_pycaffe_judges_them(deploy_file: str) -> None:
    net = caffe.Net(deploy_file, caffe.TEST)
    with pytest.raises(Exception, match="Input blob arguments do not match net inputs"):
        net.forward(picture=np.zeros((4, 3, 6, 6)))
    with pytest.raises(Exception, match="Input is not batch sized"):
        net.forward(data=np.zeros((5, 3, 6, 6)))
    with pytest.raises(Exception, match="Top diff arguments do not match net outputs"):
        net.backward(data=np.zeros((4, 3, 6, 6)))
    with pytest.raises(Exception, match="Diff is not batch sized"):
        net.backward(prob=np.zeros((3, 5, 1, 1)))
    with pytest.raises(ValueError, match="not in list"):
        net.forward(start="nowhere")


def test_forward_all_takes_any_number_of_examples(deploy_file: str) -> None:
    net = caffe.Net(deploy_file, caffe.TEST)
    pictures = np.random.default_rng(0).normal(size=(10, 3, 6, 6)).astype(np.float32)
    out = net.forward_all(blobs=["conv"], data=pictures)
    assert out["prob"].shape == (10, 5, 1, 1)
    assert out["conv"].shape == (10, 5, 4, 4)
    net.blobs["data"].reshape(10, 3, 6, 6)
    np.testing.assert_allclose(net.forward(data=pictures)["prob"], out["prob"], rtol=1e-6)


def test_forward_backward_all_takes_any_number_of_examples(
    deploy_file: str, tmp_path: Path
) -> None:
    file = tmp_path / "back.prototxt"
    file.write_text("force_backward: true " + Path(deploy_file).read_text())
    net = caffe.Net(str(file), caffe.TEST)
    random = np.random.default_rng(0)
    pictures = random.normal(size=(6, 3, 6, 6)).astype(np.float32)
    slopes = random.normal(size=(6, 5, 1, 1)).astype(np.float32)
    blobs, diffs = net.forward_backward_all(
        blobs=["conv"], diffs=["conv"], data=pictures, prob=slopes
    )
    assert (blobs["prob"].shape, blobs["conv"].shape) == ((6, 5, 1, 1), (6, 5, 4, 4))
    assert (diffs["data"].shape, diffs["conv"].shape) == ((6, 3, 6, 6), (6, 5, 4, 4))
    net.blobs["data"].reshape(6, 3, 6, 6)
    net.forward(data=pictures)
    np.testing.assert_allclose(net.backward(prob=slopes)["data"], diffs["data"], atol=1e-6)


def test_inputs_of_another_size_go_through_after_a_reshape(deploy_file: str) -> None:
    net = caffe.Net(deploy_file, caffe.TEST)
    for height, width in ((6, 6), (9, 7), (3, 20)):
        net.blobs["data"].reshape(1, 3, height, width)
        assert net.forward()["prob"].shape == (1, 5, 1, 1)
        assert net.blobs["conv"].data.shape == (1, 5, height - 2, width - 2)
    net.blobs["data"].reshape(2, 3, 8, 8)
    net.reshape()
    assert net.blobs["conv"].data.shape == (2, 5, 6, 6)


def test_a_pass_up_to_a_layer_leaves_those_after_it_as_they_are(net_file: str) -> None:
    net = caffe.Net(net_file, caffe.TRAIN)
    net.blobs["data"].reshape(1, 2, 9, 7)  # "ip" could not take what follows from this
    pictures = np.random.default_rng(0).normal(size=(1, 2, 9, 7))
    net.blobs["data"].data[...] = pictures
    conv = net.forward(end="conv")["conv"]
    assert conv.shape == (1, 11, 14, 12)
    net.blobs["conv"].diff[...] = conv
    slope = net.backward(start="conv")
    assert slope == {}
    assert net.blobs["data"].diff.shape == (1, 2, 9, 7)
    assert net.blobs["data"].diff.any()
    with pytest.raises(RuntimeError, match="parameter 0 is"):
        net.forward(start="ip")
    net.blobs["data"].reshape(5, 2, 3, 4)
    assert np.isfinite(net.forward()["loss"])


def test_a_blob_that_was_larger_for_a_while_is_still_the_nets(deploy_file: str) -> None:
    net, other = (caffe.Net(deploy_file, caffe.TEST) for _ in range(2))
    other.share_with(net)
    random = np.random.default_rng(0)
    pictures = random.normal(size=(4, 3, 6, 6))
    net.forward(data=pictures)
    net.blobs["data"].reshape(9, 3, 20, 20)
    net.blobs["data"].data[...] = 0
    net.blobs["data"].reshape(4, 3, 6, 6)
    wanted = other.forward(data=2 * pictures)["prob"]
    np.testing.assert_array_equal(net.forward(data=2 * pictures)["prob"], wanted)


def test_setting_a_gradient_keeps_what_layers_remember_of_the_forward_pass(
    deploy_file: str, tmp_path: Path
) -> None:
    file = tmp_path / "back.prototxt"
    file.write_text("force_backward: true " + Path(deploy_file).read_text())
    fresh, grown = (caffe.Net(str(file), caffe.TEST) for _ in range(2))
    grown.share_with(fresh)
    grown.forward()
    grown.backward()
    random = np.random.default_rng(0)
    pictures, slope = random.normal(size=(7, 3, 9, 9)), random.normal(size=(7, 5, 1, 1))
    slopes = []
    for net in (fresh, grown):
        net.blobs["data"].reshape(7, 3, 9, 9)
        net.forward(data=pictures)
        net.blobs["prob"].diff[...] = slope  # needs more memory than it had
        slopes.append(net.backward()["data"].copy())
    assert slopes[0].any()
    np.testing.assert_array_equal(*slopes)


def test_a_blob_in_the_middle_may_be_reshaped(deploy_file: str) -> None:
    net = caffe.Net(deploy_file, caffe.TEST)
    net.forward()
    net.blobs["conv"].reshape(2, 5, 3, 3)
    net.blobs["conv"].data[...] = np.random.default_rng(0).normal(size=(2, 5, 3, 3))
    wanted = np.maximum(net.blobs["conv"].data, 0).max(axis=(2, 3), keepdims=True)
    net.forward(start="relu", end="pool")
    np.testing.assert_array_equal(net.blobs["pool"].data, wanted)
    assert net.forward()["prob"].shape == (4, 5, 1, 1)  # the whole net makes its own shapes again
    assert net.blobs["conv"].data.shape == (4, 5, 4, 4)


def test_data_layers_keep_the_shape_that_a_script_gives_their_tops(net: caffe.Net) -> None:
    net.blobs["data"].reshape(2, 2, 3, 4)
    net.blobs["label"].reshape(2, 1, 1, 1)
    net.forward()
    assert net.blobs["scores"].data.shape == (2, 13)


def test_saved_weights_come_back(net: caffe.Net, net_file: str, tmp_path: Path) -> None:
    def is_same(other: caffe.Net) -> bool:
        return all(
            np.array_equal(mine.data, theirs.data)
            for name in net.params
            for mine, theirs in zip(net.params[name], other.params[name], strict=True)
        )

    binary, stored = str(tmp_path / "weights"), str(tmp_path / "stored")
    net.save(binary)
    net.save_hdf5(stored)
    assert is_same(caffe.Net(net_file, caffe.TRAIN, weights=binary))
    assert is_same(caffe.Net(network_file=net_file, phase=caffe.TRAIN, weights=binary))
    with pytest.warns(DeprecationWarning, match="weights=") as told:
        assert is_same(caffe.Net(net_file, binary, caffe.TRAIN))
    assert told[0].filename == __file__
    other = caffe.Net(net_file, caffe.TRAIN)
    assert not is_same(other)
    other.load_hdf5(stored)
    assert is_same(other)
    third = caffe.Net(net_file, caffe.TEST)
    third.copy_from(binary)
    assert is_same(third)


def test_hdf5_may_hold_gradients(net: caffe.Net, tmp_path: Path) -> None:
    import h5py

    net.params["conv"][0].diff[...] = 3
    net.save_hdf5(str(tmp_path / "stored"), True)
    with h5py.File(tmp_path / "stored") as stored:
        assert (stored["diff/conv/0"][...] == 3).all()


def test_shared_weights_are_one_memory(net: caffe.Net, net_file: str) -> None:
    other = caffe.Net(net_file, caffe.TEST)
    other.share_with(net)
    net.params["ip"][1].data[...] = 17
    assert (other.params["ip"][1].data == 17).all()


def test_hooks_run_around_each_layer(net: caffe.Net) -> None:
    seen: list[tuple[str, int]] = []
    net.before_forward(lambda layer: seen.append(("before forward", layer)))
    net.after_forward(lambda layer: seen.append(("after forward", layer)))
    net.before_backward(lambda layer: seen.append(("before backward", layer)))
    net.after_backward(lambda layer: seen.append(("after backward", layer)))
    for _ in range(2):
        seen.clear()
        net.forward(start="ip")
        net.backward(end="ip")
        assert seen == [
            ("before forward", 2), ("after forward", 2), ("before forward", 3),
            ("after forward", 3), ("before backward", 3), ("after backward", 3),
            ("before backward", 2), ("after backward", 2),
        ]  # fmt: skip


def test_a_hook_sees_the_blob_before_the_next_layer_changes_it(deploy_file: str) -> None:
    net = caffe.Net(deploy_file, caffe.TEST)
    lowest: list[float] = []
    net.after_forward(lambda layer: lowest.append(float(net.blobs["conv"].data.min())))
    net.forward(data=np.random.default_rng(0).normal(size=(4, 3, 6, 6)))
    assert lowest[1] < 0 == lowest[2]


RULES = """
layer { name: "data" type: "DummyData" top: "data" dummy_data_param { shape { dim: 1 dim: 4 } } }
layer { name: "always" type: "ReLU" bottom: "data" top: "always" }
layer { name: "low" type: "ReLU" bottom: "data" top: "low" include { max_level: 0 } }
layer { name: "high" type: "ReLU" bottom: "data" top: "high" include { min_level: 1 } }
layer { name: "a" type: "ReLU" bottom: "data" top: "a" include { stage: "A" } }
layer { name: "ab" type: "ReLU" bottom: "data" top: "ab" include { stage: "A" stage: "B" } }
layer { name: "no b" type: "ReLU" bottom: "data" top: "no b" include { not_stage: "B" } }
layer { name: "train" type: "ReLU" bottom: "data" top: "train" include { phase: TRAIN } }
"""


@pytest.mark.parametrize(
    ("phase", "options", "made"),
    [
        (caffe.TEST, {}, ["always", "low", "no b"]),
        (caffe.TEST, {"level": 1}, ["always", "high", "no b"]),
        (caffe.TEST, {"stages": ["A"]}, ["always", "low", "a", "no b"]),
        (caffe.TEST, {"stages": ("A", "B")}, ["always", "low", "a", "ab"]),
        (caffe.TRAIN, {"level": 2, "stages": None}, ["always", "high", "no b", "train"]),
    ],
)
def test_level_and_stages_choose_the_layers(
    tmp_path: Path, phase: int, options: dict[str, object], made: list[str]
) -> None:
    (tmp_path / "net.prototxt").write_text(RULES)
    net = caffe.Net(str(tmp_path / "net.prototxt"), phase, **options)
    assert [name for name in net.blobs if "data" not in name] == made


def test_stages_in_the_file_count_and_its_level_does_not(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text('state { stage: "A" level: 1 }' + RULES)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST, stages=["B"])
    made = [name for name in net.blobs if "data" not in name]
    assert made == ["always", "low", "a", "ab"]


def test_the_arguments_of_net_may_all_be_given_in_order(deploy_file: str, tmp_path: Path) -> None:
    net = caffe.Net(deploy_file, caffe.TEST)
    net.save(str(tmp_path / "w"))
    other = caffe.Net(deploy_file, caffe.TEST, 0, None, str(tmp_path / "w"))
    np.testing.assert_array_equal(other.params["conv"][0].data, net.params["conv"][0].data)
    for arguments, named in (
        ((deploy_file,), {}),
        ((deploy_file, caffe.TEST), {"wights": "w"}),
        ((deploy_file, caffe.TEST), {"phase": caffe.TEST}),
    ):
        with pytest.raises(TypeError):
            caffe.Net(*arguments, **named)


def test_a_phase_that_is_none_is_told(deploy_file: str) -> None:
    with pytest.raises(RuntimeError, match=r"TRAIN \(0\) or caffe\.TEST \(1\), not 2"):
        caffe.Net(deploy_file, 2)
    with pytest.raises(TypeError, match="level is a whole number, not 'deploy'"):
        caffe.Net(deploy_file, caffe.TEST, "deploy")


def test_layers_by_index_are_those_that_there_are(deploy_file: str) -> None:
    net = caffe.Net(deploy_file, caffe.TEST)
    for call in (
        lambda: net._forward(0, 5), lambda: net._forward(-1, 2), lambda: net._backward(5, 0),
        lambda: net._backward(4, -1), lambda: net._top_ids(5), lambda: net._bottom_ids(-1),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=r"there is no layer (5|-1): the net has 5"):
            call()
    assert net._forward(3, 2) == 0


def test_what_aborts_caffe_raises_a_runtime_error(deploy_file: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.prototxt").write_text('layer { name: "x" type: "Relu" top: "x" }')
    with pytest.raises(RuntimeError, match="nowhere"):
        caffe.Net(str(tmp_path / "nowhere.prototxt"), caffe.TEST)
    with pytest.raises(RuntimeError, match=r"wrong\.prototxt:1:\d+.*\"Relu\"") as caught:
        caffe.Net(str(tmp_path / "wrong.prototxt"), caffe.TEST)
    assert isinstance(caught.value, protonet.Error)
    with pytest.raises(caffe.CaffeError):
        caffe.Net(deploy_file, caffe.TEST, weights=str(tmp_path / "nowhere.caffemodel"))
    net = caffe.Net(deploy_file, caffe.TEST)
    net.blobs["data"].reshape(1, 4, 6, 6)
    with pytest.raises(RuntimeError, match="parameter 0 is"):
        net.forward()
    net.blobs["data"].reshape(1, 3, 6, 6)
    assert net.forward()["prob"].shape == (1, 5, 1, 1)


def test_blobs_tell_their_old_names_of_axes(net: caffe.Net) -> None:
    blob = net.blobs["data"]
    assert (blob.num, blob.channels, blob.height, blob.width) == (5, 2, 3, 4)
    assert (blob.count, list(blob.shape)) == (120, [5, 2, 3, 4])
    scores = net.blobs["scores"]
    assert (scores.num, scores.channels, scores.height, scores.width) == (5, 13, 1, 1)
    assert net.blobs["loss"].data.shape == ()


def test_memory_data_takes_arrays(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(
        """layer { name: "d" type: "MemoryData" top: "data" top: "label"
             memory_data_param { batch_size: 2 channels: 3 height: 4 width: 5 } }"""
    )
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    data = np.random.default_rng(0).normal(size=(4, 3, 4, 5)).astype(np.float32)
    net.set_input_arrays(data, np.arange(4, dtype=np.float32))
    for start in (0, 2, 0):
        net.forward()
        np.testing.assert_array_equal(net.blobs["data"].data, data[start : start + 2])
        assert net.blobs["label"].data.ravel().tolist() == [start, start + 1]
    with pytest.raises(RuntimeError, match="multiple"):
        net.set_input_arrays(data[:3], np.zeros(3, np.float32))


def test_arrays_for_a_net_without_memory_data_are_refused(deploy_file: str) -> None:
    net = caffe.Net(deploy_file, caffe.TEST)
    with pytest.raises(RuntimeError, match="MemoryDataLayer"):
        net.set_input_arrays(np.zeros((4, 3, 6, 6), np.float32), np.zeros(4, np.float32))


def test_the_seed_fixes_the_fillers_of_the_nets_that_follow(
    net_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("protonet.caffe.random_seed._seeds", None)

    def weights() -> list[np.ndarray]:
        caffe.set_random_seed(7)
        nets = [caffe.Net(net_file, caffe.TRAIN) for _ in range(2)]
        return [net.params["conv"][0].data.copy() for net in nets]

    first, second = weights(), weights()
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first[0], first[1])


DRAWING = """
layer {
  name: "data" type: "DummyData" top: "data"
  dummy_data_param { shape { dim: 4 dim: 50 } data_filler { type: "gaussian" std: 1 } }
}
layer { name: "drop" type: "Dropout" bottom: "data" top: "drop" }
"""


def test_the_seed_fixes_what_live_nets_draw_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("protonet.caffe.random_seed._seeds", None)
    (tmp_path / "net.prototxt").write_text(DRAWING)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN)

    def passes(seed: int) -> list[np.ndarray]:
        caffe.set_random_seed(seed)
        return [net.forward()["drop"].copy() for _ in range(3)]

    first, other, again = passes(5), passes(6), passes(5)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1])


def test_the_seed_leaves_parameters_as_they_are(net: caffe.Net) -> None:
    before = net.params["conv"][0].data.copy()
    caffe.set_random_seed(3)
    np.testing.assert_array_equal(net.params["conv"][0].data, before)
