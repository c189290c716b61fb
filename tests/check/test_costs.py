"""Parameters, multiply-adds, memory and receptive fields of nets that are well known."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from checking import Checker, image
from known_nets import alexnet, resnet50, vgg16

from protonet.check.costs import LayerCosts, NetCosts, net_costs
from protonet.check.examine import examine
from protonet.check.inputs import summary_graph

LENET = Path(__file__).parent.parent.parent / "models" / "lenet"


@pytest.fixture
def costs(check: Checker) -> Callable[[str], NetCosts]:
    return lambda text: net_costs(summary_graph(check.write(text)))


Costs = Callable[[str], NetCosts]


def named(costs: NetCosts, name: str) -> LayerCosts:
    return next(layer for layer in costs.layers if layer.name == name)


def test_lenet_has_431080_parameters() -> None:
    lenet = net_costs(summary_graph(LENET / "deploy.prototxt"))
    assert lenet.parameters == 431_080
    assert named(lenet, "conv1").parameters == (5 * 5 * 1 + 1) * 20
    assert lenet.complete


@pytest.mark.parametrize(
    ("net", "parameters", "statistics", "macs"),
    [
        (alexnet, 60_965_224, 0, 724_406_816),
        (vgg16, 138_357_544, 0, 15_470_264_320),
        (resnet50, 25_557_032, 53_120 + 53, 3_857_973_248),
    ],
    ids=["alexnet", "vgg16", "resnet50"],
)
def test_well_known_nets_have_the_published_sizes(
    costs: Costs, net: Callable[[], str], parameters: int, statistics: int, macs: int
) -> None:
    found = costs(net())
    assert found.parameters == parameters
    assert found.statistics == statistics
    products = [x for x in found.layers if x.type in ("Convolution", "InnerProduct")]
    assert sum(layer.macs or 0 for layer in products) == macs


@pytest.mark.parametrize(
    ("net", "layer", "field", "stride"),
    [
        (alexnet, "conv1", 11, 4),
        (alexnet, "pool5", 195, 32),
        (vgg16, "pool1", 6, 2),
        (vgg16, "pool5", 212, 32),
        (resnet50, "conv1", 7, 2),
        (resnet50, "res5c", 483, 32),
    ],
)
def test_receptive_fields_and_strides(
    costs: Costs, net: Callable[[], str], layer: str, field: int, stride: int
) -> None:
    found = named(costs(net()), layer)
    assert found.receptive_field == (field, field)
    assert found.stride == (stride, stride)


def test_macs_and_memory_grow_with_the_batch(costs: Costs) -> None:
    one, four = costs(vgg16(1)), costs(vgg16(4))
    assert four.macs == 4 * one.macs
    assert four.activation_bytes == 4 * one.activation_bytes
    assert four.parameters == one.parameters


def test_layer_without_tops_sees_no_field(costs: Costs) -> None:
    found = named(
        costs(image(1, 3, 8, 8) + 'layer { name: "s" type: "Silence" bottom: "data" }'), "s"
    )
    assert found.receptive_field is None
    assert found.activation_bytes == 0


def test_layer_in_place_takes_no_memory(costs: Costs) -> None:
    assert named(costs(alexnet()), "relu_conv1").activation_bytes == 0


def test_shared_parameters_are_counted_once(costs: Costs) -> None:
    layers = "".join(
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "data" top: "{name}" '
        'inner_product_param { num_output: 5 } param { name: "w" } }\n'
        for name in ("a", "b")
    )
    found = costs(image(2, 3) + layers)
    assert found.parameters == 5 * 3 + 5 + 5
    assert (named(found, "b").parameters, named(found, "b").shared) == (5, 15)


def test_receptive_field_of_joined_branches_is_the_largest(costs: Costs) -> None:
    text = image(1, 1, 16, 16) + "".join(
        f'layer {{ name: "c{k}" type: "Convolution" bottom: "data" top: "c{k}" '
        f"convolution_param {{ num_output: 1 kernel_size: {k} pad: {k // 2} }} }}\n"
        for k in (1, 5, 3)
    )
    text += 'layer { name: "all" type: "Concat" bottom: "c1" bottom: "c5" bottom: "c3" top: "all" }'
    assert named(costs(text), "all").receptive_field == (5, 5)


def test_dilation_and_unequal_kernels_count_per_axis(costs: Costs) -> None:
    text = image(1, 1, 16, 16) + (
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { '
        "num_output: 1 kernel_h: 1 kernel_w: 3 dilation: 1 dilation: 4 stride_h: 2 stride_w: 1 } }"
    )
    found = named(costs(text), "c")
    assert (found.receptive_field, found.stride) == ((1, 9), (Fraction(2), Fraction(1)))


def test_deconvolution_takes_the_stride_back(costs: Costs) -> None:
    text = image(1, 1, 16, 16) + (
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
        "convolution_param { num_output: 1 kernel_size: 2 stride: 2 } }\n"
        'layer { name: "d" type: "Deconvolution" bottom: "c" top: "d" '
        "convolution_param { num_output: 1 kernel_size: 8 stride: 4 } }\n"
    )
    found = named(costs(text), "d")
    assert (found.receptive_field, found.stride) == ((4, 4), (Fraction(1, 2), Fraction(1, 2)))


def test_layer_that_shows_its_bottom_in_another_shape_takes_no_memory(costs: Costs) -> None:
    text = image(1, 3, 4, 4) + 'layer { name: "f" type: "Flatten" bottom: "data" top: "f" }'
    assert named(costs(text), "f").activation_bytes == 0


def test_chosen_input_size_replaces_the_one_in_the_file(check: Checker) -> None:
    file = check.write(
        image(1, 3, 8, 8) + 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }'
    )
    assert summary_graph(file, sizes=(10, 12)).blob_shapes[-1] == (1, 3, 10, 12)
    assert summary_graph(file, sizes=(5, 10, 12)).blob_shapes[-1] == (1, 5, 10, 12)
    assert summary_graph(file, sizes=(2, 5, 10, 12)).blob_shapes[-1] == (2, 5, 10, 12)


def test_data_that_is_elsewhere_takes_its_size_from_the_crop_or_the_user(check: Checker) -> None:
    data = (
        'layer { name: "d" type: "Data" top: "data" top: "label" '
        'data_param { source: "none" backend: LMDB batch_size: 6 } %s }\n'
        'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }\n'
    )
    cropped = summary_graph(check.write(data % "transform_param { crop_size: 20 }"))
    assert cropped.blob_shapes == [(6, 3, 20, 20), (6,), (6, 3, 20, 20)]
    plain = check.write(data % "")
    assert summary_graph(plain).blob_shapes == [None, (6,), None]
    chosen = summary_graph(plain, sizes=(1, 28, 28))
    assert chosen.blob_shapes == [(6, 1, 28, 28), (6,), (6, 1, 28, 28)]


def test_vgg16_is_checked_without_memory_for_its_blobs(check: Checker) -> None:
    file = check.write(vgg16(64))
    examine(file)
    tracemalloc.start()
    found = examine(file)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not found.failed
    assert peak_bytes < 20e6  # its parameters alone would take 553 MB
