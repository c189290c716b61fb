"""Net: lowering, recording and replay, reshaping, sharing, loading."""

import numpy as np
import pytest

import protonet
from protonet import Net, kernels
from protonet.ir.protonet_pb2 import TEST, TRAIN
from protonet.prototxt import parse_text

TWO_LAYERS = """
force_backward: true
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 dim: 6 dim: 6 } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "conv"
  convolution_param { num_output: 5 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
"""

SHARED = """
force_backward: true
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 dim: 6 dim: 6 } } }
layer { name: "one" type: "InnerProduct" bottom: "x" top: "one" param { name: "w" }
  inner_product_param { num_output: 108 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "two" type: "InnerProduct" bottom: "one" top: "two" param { name: "w" }
  inner_product_param { num_output: 108 bias_term: false } }
"""


def make(text, phase=TEST, **more):
    message, source = parse_text(text, protonet.NetParameter, "net.prototxt")
    from protonet.ir.document import Document

    return Net(Document(message, source, []), phase, seed=1, **more)


def images(shape=(4, 3, 6, 6), seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_forward_returns_live_views_of_the_outputs():
    net = make(TWO_LAYERS)
    outputs = net.forward(x=images())
    assert list(outputs) == ["fc"]
    assert outputs["fc"] is net.blobs["fc"].data
    before = outputs["fc"].copy()
    net.forward(x=images(seed=1))
    assert not np.array_equal(outputs["fc"], before)


def test_a_replayed_pass_gives_the_bits_of_the_recorded_one():
    net = make(TWO_LAYERS)
    first = net.forward(x=images())["fc"].copy()
    net.forward(x=images(seed=1))
    np.testing.assert_array_equal(net.forward(x=images())["fc"], first)


def test_writing_into_a_weight_changes_the_next_pass():
    net = make(TWO_LAYERS)
    net.forward(x=images())
    net.params["fc"][0].data[...] = 0
    net.params["fc"][1].data[...] = [1, 2]
    np.testing.assert_array_equal(net.forward()["fc"], [[1, 2]] * 4)


def test_another_batch_size_reshapes_the_net_by_itself():
    net = make(TWO_LAYERS)
    whole = net.forward(x=images())["fc"].copy()
    half = net.forward(x=images()[:2])["fc"]
    assert half.shape == (2, 2)
    np.testing.assert_allclose(half, whole[:2], rtol=1e-5)
    np.testing.assert_array_equal(net.forward(x=images())["fc"], whole)


def test_a_size_that_the_trained_weights_do_not_fit_is_refused_at_its_place():
    net = make(TWO_LAYERS)
    with pytest.raises(protonet.Error, match=r"^net\.prototxt:7:\d+: .*parameter 0 is 2×80"):
        net.forward(x=images((1, 3, 8, 8)))


def test_a_refused_size_is_refused_again_and_a_fitting_one_still_runs():
    net = make(TWO_LAYERS)
    want = net.forward(x=images())["fc"].copy()
    for _ in range(2):
        with pytest.raises(protonet.Error, match="2×80"):
            net.forward(x=images((1, 3, 8, 8)))
    np.testing.assert_array_equal(net.forward(x=images())["fc"], want)


def test_an_input_that_was_larger_for_a_while_is_still_the_nets():
    net, other = make(TWO_LAYERS), make(TWO_LAYERS)
    net.forward(x=images())
    net.blobs["x"].reshape(50, 3, 6, 6)
    net.blobs["x"].data[...] = 0
    net.blobs["x"].reshape(4, 3, 6, 6)
    wanted = other.forward(x=images(seed=1))["fc"]
    np.testing.assert_array_equal(net.forward(x=images(seed=1))["fc"], wanted)


def test_an_unknown_input_names_those_there_are():
    with pytest.raises(protonet.Error, match=r'no input blob "y" \(inputs: x\)'):
        make(TWO_LAYERS).forward(y=images())


def test_a_part_of_the_net_can_be_run():
    net = make(TWO_LAYERS)
    net.forward(x=images())
    net.blobs["conv"].data[...] = 0
    outputs = net.forward(start="fc")
    np.testing.assert_array_equal(outputs["fc"], 0)
    assert set(net.forward(end="relu")) == {"conv"}


def test_parameters_gradients_add_up_until_they_are_cleared():
    net = make(TWO_LAYERS)
    net.forward(x=images())
    net.blobs["fc"].diff[...] = 1
    net.clear_param_diffs()
    net.backward()
    once = net.params["conv"][0].diff.copy()
    net.backward()
    np.testing.assert_allclose(net.params["conv"][0].diff, 2 * once, rtol=1e-5)
    net.clear_param_diffs()
    assert not net.params["conv"][0].diff.any()


@pytest.mark.parametrize("again", [False, True])
def test_gradients_that_begin_anew_are_those_that_were_cleared(again):
    nets = [make(TWO_LAYERS) for _ in range(2)]
    for net, begin in zip(nets, (Net.clear_param_diffs, Net.begin_gradients), strict=True):
        net.forward(x=images())
        net.blobs["fc"].diff[...] = 1
        for blob in net.learnable_params:
            blob.diff[...] = np.nan
        begin(net)
        net.backward()
        if again:
            net.backward()
    for one, other in zip(*(net.learnable_params for net in nets), strict=True):
        np.testing.assert_array_equal(one.diff, other.diff)


def test_gradients_that_begin_anew_are_zero_where_a_pass_does_not_go():
    net = make(TWO_LAYERS)
    net.forward(x=images())
    net.blobs["fc"].diff[...] = 1
    for blob in net.learnable_params:
        blob.diff[...] = 1
    net.begin_gradients()
    net.backward(end="fc")
    assert not net.params["conv"][0].diff.any()
    assert net.params["fc"][0].diff.any()


def test_a_weight_of_two_layers_gets_the_gradients_of_both_when_they_begin_anew():
    net = make(SHARED)
    gradients = []
    for begin in (net.clear_param_diffs, net.begin_gradients):
        net.forward(x=images())
        net.blobs["two"].diff[...] = 1
        begin()
        net.backward()
        gradients.append(net.params["one"][0].diff.copy())
    np.testing.assert_array_equal(*gradients)


def test_results_do_not_depend_on_the_number_of_threads():
    before = kernels.threads()
    results = []
    for threads in (1, 3):
        kernels.choose_threads(threads)
        net = make(TWO_LAYERS)
        net.forward(x=images())
        net.blobs["fc"].diff[...] = 1
        net.backward()
        results.append([net.blobs["fc"].data, *(p.diff for p in net.learnable_params)])
    kernels.choose_threads(before)
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_seed_fixes_the_fillers():
    assert np.array_equal(
        make(TWO_LAYERS).params["fc"][0].data, make(TWO_LAYERS).params["fc"][0].data
    )


def test_shared_parameters_are_one_memory_and_one_learnable():
    net = make(
        """
        force_backward: true
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
        layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" param { name: "w" }
          inner_product_param { num_output: 3 bias_term: false weight_filler { type: "xavier" } } }
        layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" }
          inner_product_param { num_output: 3 bias_term: false } }
        """
    )
    assert len(net.learnable_params) == 1
    assert np.shares_memory(net.params["a"][0].data, net.params["b"][0].data)
    assert np.shares_memory(net.params["a"][0].diff, net.params["b"][0].diff)


def test_a_net_can_share_anothers_weights():
    train, test = make(TWO_LAYERS, TRAIN), make(TWO_LAYERS)
    test.params["fc"][0].data[...] = 0
    test.forward(x=images())
    test.share_with(train)
    train.params["fc"][1].data[...] = 7
    np.testing.assert_array_equal(test.forward(x=images())["fc"], train.forward(x=images())["fc"])


def test_saved_weights_come_back(tmp_path):
    net, other = make(TWO_LAYERS), make(TWO_LAYERS)
    other.params["conv"][0].data[...] = 0
    net.save(tmp_path / "w.caffemodel")
    other.copy_from(tmp_path / "w.caffemodel")
    np.testing.assert_array_equal(other.params["conv"][0].data, net.params["conv"][0].data)


def test_weights_that_do_not_fit_are_all_listed_and_nothing_is_changed(tmp_path):
    make(TWO_LAYERS.replace("num_output: 5", "num_output: 6")).save(tmp_path / "w.caffemodel")
    net = make(TWO_LAYERS)
    before = net.params["fc"][1].data.copy()
    with pytest.raises(protonet.Error) as caught:
        net.copy_from(tmp_path / "w.caffemodel")
    text = str(caught.value)
    assert "6×3×3×3" in text
    assert '"fc"' in text
    np.testing.assert_array_equal(net.params["fc"][1].data, before)


def test_views_stay_valid_when_the_net_is_gone():
    net = make(TWO_LAYERS)
    weights = net.params["fc"][0].data
    kept = weights.copy()
    del net
    np.testing.assert_array_equal(weights, kept)


def test_float64_runs_through_the_same_layers():
    net, exact = make(TWO_LAYERS), make(TWO_LAYERS, dtype=np.float64)
    for name, blobs in net.params.items():
        for blob, double in zip(blobs, exact.params[name], strict=True):
            double.data[...] = blob.data
    assert exact.forward(x=images())["fc"].dtype == np.float64
    np.testing.assert_allclose(net.forward(x=images())["fc"], exact.blobs["fc"].data, rtol=1e-4)


def test_a_wrong_net_raises_all_its_diagnostics():
    with pytest.raises(protonet.Error) as caught:
        make(TWO_LAYERS.replace("ReLU", "Relo").replace("kernel_size: 3", "kernel_size: 30"))
    assert {d.code for d in caught.value.diagnostics} >= {"E101", "E204"}
