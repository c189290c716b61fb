"""What a plan promises its callers."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import protonet
from protonet import NetParameter, kernels
from protonet.plan import FedPlan

MODELS = Path(__file__).parents[2] / "models"

SMALL = """
name: "small"
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 9 dim: 9 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 6 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 7 } }
layer { name: "prob" type: "Softmax" bottom: "pool" top: "prob" }
"""


def net_of(text: str, phase: int = 1, **settings: object) -> protonet.Net:
    net = protonet.Net(text_format.Parse(text, NetParameter()), phase, seed=1, **settings)
    for number, blob in enumerate(net.params.get("bn", ())):
        blob.data[...] = 1 + number * np.arange(blob.count).reshape(blob.shape) / 10
    return net


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(2).normal(size=shape).astype(np.float32)


def shared_bytes(net: protonet.Net) -> int:
    """Returns the memory of a net's blobs, shared memory counted once."""
    return sum({b.data.ctypes.data: b.data.nbytes for b in net.blobs.values()}.values())


def test_batch_norm_scale_relu_and_dropout_become_part_of_the_convolution() -> None:
    plan = protonet.compile(net_of(SMALL))
    assert str(plan).split("\n") == [
        "Convolution conv: data -> conv 2×6×7×7 [bn, scale, relu]",
        "Pooling pool: conv -> pool 2×6×1×1",
        "Softmax prob: pool -> prob 2×6×1×1",
    ]


def test_a_blob_that_is_kept_holds_what_the_net_leaves_in_it() -> None:
    net = net_of(SMALL)
    made = protonet.compile(net, keep=["conv"]).run(data=noise(2, 3, 9, 9))
    net.forward(data=noise(2, 3, 9, 9))
    assert list(made) == ["prob", "conv"]
    np.testing.assert_allclose(made["conv"], net.blobs["conv"].data, rtol=1e-5, atol=1e-6)


def test_what_run_returns_belongs_to_the_caller() -> None:
    plan = protonet.compile(net_of(SMALL))
    first = plan.run(data=noise(2, 3, 9, 9))["prob"]
    kept = first.copy()
    plan.run(data=-noise(2, 3, 9, 9))
    np.testing.assert_array_equal(first, kept)


def test_other_shapes_are_compiled_as_they_come() -> None:
    net = net_of(SMALL)
    plan = protonet.compile(net)
    for n in (1, 5, 2, 1):
        expected = net.forward(data=noise(n, 3, 9, 9))["prob"]
        np.testing.assert_allclose(plan.run(data=noise(n, 3, 9, 9))["prob"], expected, atol=1e-6)


def test_later_changes_of_the_weights_do_not_reach_the_plan() -> None:
    net = net_of(SMALL)
    plan = protonet.compile(net)
    before = plan.run(data=noise(2, 3, 9, 9))["prob"]
    for blob in net.learnable_params:
        blob.data.fill(0)
    np.testing.assert_array_equal(plan.run(data=noise(2, 3, 9, 9))["prob"], before)
    np.testing.assert_array_equal(plan.run(data=noise(1, 3, 9, 9))["prob"], before[:1])


def test_many_threads_may_run_one_plan() -> None:
    plan = protonet.compile(net_of(SMALL))
    inputs = [noise(2, 3, 9, 9) * k for k in range(8)]
    expected = [plan.run(data=array)["prob"] for array in inputs]
    wrong: list[int] = []

    def work(index: int) -> None:
        for _ in range(50):
            if not np.array_equal(plan.run(data=inputs[index])["prob"], expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=[index]) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_doubles_stay_doubles() -> None:
    net = net_of(SMALL, dtype=np.float64)
    made = protonet.compile(net).run(data=noise(2, 3, 9, 9))["prob"]
    assert made.dtype == np.float64
    np.testing.assert_allclose(made, net.forward(data=noise(2, 3, 9, 9))["prob"], rtol=1e-12)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "input data is missing"),
        ({"image": noise(2, 3, 9, 9)}, 'no input blob "image" (inputs: data)'),
        ({"data": noise(2, 4, 9, 9)}, "parameter 0 is 6×3×3×3, but this bottom needs 6×4×3×3"),
        ({"data": noise(2, 3, 2, 2)}, "kernel"),
        ({"data": noise(2, 3)}, "Pooling takes N×C×H×W"),
        ({"data": np.array(["a"])}, "must hold numbers"),
    ],
)
def test_wrong_inputs_are_refused(inputs: dict[str, np.ndarray], words: str) -> None:
    plan = protonet.compile(net_of(SMALL))
    with pytest.raises(protonet.Error, match=words.replace("(", r"\(").replace(")", r"\)")):
        plan.run(**inputs)
    assert plan.run(data=noise(2, 3, 9, 9))["prob"].shape == (2, 6, 1, 1)


def test_a_net_for_training_is_refused() -> None:
    with pytest.raises(protonet.Error, match="build the net for TEST"):
        protonet.compile(net_of(SMALL, phase=0))


def test_a_blob_that_is_not_there_cannot_be_kept() -> None:
    with pytest.raises(protonet.Error, match='no blob "cnv"'):
        protonet.compile(net_of(SMALL), keep=["cnv"])


def test_each_pass_can_be_watched(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROTONET_DEBUG", "plan")
    protonet.compile(net_of(SMALL))
    told = capsys.readouterr().err
    assert "plan: join_affine: 6 operations -> 5" in told
    assert "plan: fold_affine: 5 operations -> 4" in told
    assert "plan:   - ReLU relu: conv -> conv 2×6×7×7" in told


def test_parts_are_made_in_their_place() -> None:
    text = SMALL.replace(
        'name: "prob" type: "Softmax" bottom: "pool" top: "prob"',
        """
      name: "one" type: "Convolution" bottom: "pool" top: "one"
      convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "xavier" } } }
    layer { name: "two" type: "Convolution" bottom: "pool" top: "two"
      convolution_param { num_output: 2 kernel_size: 1 weight_filler { type: "xavier" } } }
    layer { name: "both" type: "Concat" bottom: "one" bottom: "pool" bottom: "two" top: "both" }
    layer { name: "prob" type: "Softmax" bottom: "both" top: "prob" """,
    )
    net = net_of(text)
    plan = protonet.compile(net)
    assert [line.split(":")[0] for line in str(plan).split("\n")] == [
        "Convolution conv", "Pooling pool", "Convolution one", "Convolution two", "Concat both",
        "Softmax prob",
    ]  # fmt: skip
    assert "Concat both: pool -> pool in both" in str(plan)
    made = plan.run(data=noise(2, 3, 9, 9))["prob"]
    np.testing.assert_allclose(made, net.forward(data=noise(2, 3, 9, 9))["prob"], atol=1e-6)


def test_layers_whose_shape_depends_on_values_run_behind_the_plan() -> None:
    text = """
    layer { name: "in" type: "Input" top: "data" top: "which"
      input_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 1 } } }
    layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
      inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
    layer { name: "filter" type: "Filter" bottom: "ip" bottom: "which" top: "some" }
    layer { name: "tanh" type: "TanH" bottom: "some" top: "out" }
    """
    net = net_of(text)
    plan = protonet.compile(net, keep=["ip"])
    for which in ([1, 0, 1, 1], [0, 0, 1, 0], [1, 1, 1, 1]):
        inputs = {"data": noise(4, 3), "which": np.array(which).reshape(4, 1)}
        expected = net.forward(**inputs)["out"]
        made = plan.run(**inputs)
        assert made["out"].shape == (sum(which), 5)
        np.testing.assert_allclose(made["out"], expected, rtol=1e-5)


def test_bad_values_are_refused_as_the_net_refuses_them() -> None:
    text = """
    layer { name: "in" type: "Input" top: "x" top: "label"
      input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "label" top: "loss" }
    """
    plan = protonet.compile(net_of(text))
    plan.run(x=noise(2, 3), label=np.array([0, 2]))
    with pytest.raises(protonet.Error, match="loss"):
        plan.run(x=noise(2, 3), label=np.array([0, 3]))


def test_a_fed_plan_runs_over_the_nets_own_data() -> None:
    text = """
    layer { name: "data" type: "DummyData" top: "data" top: "label"
      dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 }
        data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
    layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
      inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" loss_weight: 2 }
    layer { name: "hinge" type: "HingeLoss" bottom: "ip" bottom: "label" }
    """
    net, twin = net_of(text), net_of(text)
    plan = FedPlan(net, ["ip"])
    for _ in range(3):
        made = plan.run()
        assert plan.loss == pytest.approx(twin.run_forward(), rel=1e-5)
        np.testing.assert_allclose(made["ip"], twin.blobs["ip"].data, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(kernels.isa() == "scalar", reason="what is pooled in the store needs vectors")
@pytest.mark.parametrize("exact", [True, False])
def test_a_pool_of_pairs_becomes_part_of_the_convolution(exact: bool) -> None:
    text = """
    layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 32 dim: 30 dim: 28 } } }
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
      convolution_param { num_output: 40 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
    layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
    layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
    """  # noqa: E501
    net = net_of(text)
    plan = protonet.compile(net, exact=exact)
    assert str(plan) == "Convolution conv: data -> pool 2×40×15×14 [relu, pool]"
    for shape in ((2, 32, 30, 28), (1, 32, 31, 28), (3, 32, 14, 18)):
        expected = net.forward(data=noise(*shape))["pool"]
        within = 1e-5 if exact else 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(plan.run(data=noise(*shape))["pool"], expected, atol=within)


@pytest.mark.parametrize("exact", [True, False])
def test_inputs_that_differ_in_scale_keep_their_part(exact: bool) -> None:
    text = """
    layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 512 dim: 9 dim: 8 } } }
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
      convolution_param { num_output: 512 kernel_size: 1 weight_filler { type: "msra" } } }
    layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
      inner_product_param { num_output: 40 weight_filler { type: "msra" } } }
    """  # noqa: E501
    net, x = net_of(text), noise(1, 512, 9, 8)
    scales = np.where(np.arange(512) % 3, 1e3, 1)[:, None, None].astype(np.float32)
    net.params["conv"][0].data[...] /= scales
    net.params["ip"][0].data[...] /= np.broadcast_to(scales, (512, 9, 8)).reshape(-1)
    made = protonet.compile(net, exact=exact).run(data=x * scales)
    wide = (x * scales).astype(np.float64).reshape(512, -1)
    expected = {
        "conv": net.params["conv"][0].data.reshape(512, 512) @ wide,
        "ip": net.params["ip"][0].data @ wide.reshape(-1),
    }
    for name, values in expected.items():
        off = np.abs(made[name].reshape(values.shape) - values).max()
        assert off < 1e-5 * np.abs(values).max()


@pytest.mark.parametrize("model", ["resnet50", "googlenet", "vgg16"])
def test_activations_share_memory(model: str) -> None:
    net = protonet.Net(MODELS / model / "deploy.prototxt")
    if model == "vgg16" and kernels.isa() == "scalar":
        pytest.skip("what is pooled in the store needs vectors")
    assert protonet.compile(net).activation_bytes <= 0.35 * shared_bytes(net)
