"""MemoryData and DummyData: data without a file."""

from __future__ import annotations

import numpy as np
import pytest
from small_data import MakeNet

from protonet import Error, Net

MEMORY = """
layer { name: "m" type: "MemoryData" top: "data" top: "label"
        memory_data_param { batch_size: 2 channels: 3 height: 4 width: 5 } }
layer { name: "relu" type: "ReLU" bottom: "data" top: "out" }
"""


def dummy(make_net: MakeNet, param: str, tops: str = 'top: "a"', **settings: object) -> Net:
    return make_net(
        f'layer {{ name: "d" type: "DummyData" {tops} dummy_data_param {{ {param} }} }}', **settings
    )


def test_given_arrays_come_batch_by_batch_around_and_around(make_net: MakeNet) -> None:
    net = make_net(MEMORY)
    images = np.arange(4 * 60, dtype=np.float32).reshape(4, 3, 4, 5)
    net.layers[0].set_input_arrays(images, np.arange(4, dtype=np.float32))
    for start in (0, 2, 0):
        found = net.forward()
        np.testing.assert_array_equal(found["out"], images[start : start + 2])
        assert found["label"].ravel().tolist() == [start, start + 1]


def test_arrays_are_used_where_they_are(make_net: MakeNet) -> None:
    net = make_net(MEMORY)
    images = np.zeros((2, 3, 4, 5), np.float32)
    net.layers[0].set_input_arrays(images, np.zeros(2))
    images[...] = 7
    assert (net.forward()["out"] == 7).all()


def test_forward_without_arrays_tells_what_to_do(make_net: MakeNet) -> None:
    with pytest.raises(Error, match=r"no data was given[\s\S]*set_input_arrays"):
        make_net(MEMORY).forward()


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        ((2, 3, 4, 6), 2, r"takes images of 3×4×5 .*, not 2×3×4×6"),
        ((2, 60), 2, r"in an array of 4 axes, not 2×60"),
        ((3, 3, 4, 5), 3, "takes a multiple of its batch_size 2 images, not 3"),
        ((0, 3, 4, 5), 0, "takes a multiple of its batch_size 2 images, not 0"),
        ((4, 3, 4, 5), 2, "2 labels for 4 images"),
    ],
)
def test_arrays_that_do_not_fit_are_errors(
    make_net: MakeNet, images: tuple[int, ...], labels: int, message: str
) -> None:
    with pytest.raises(Error, match=message):
        make_net(MEMORY).layers[0].set_input_arrays(np.zeros(images), np.zeros(labels))


def test_memory_data_needs_all_of_its_sizes(make_net: MakeNet) -> None:
    with pytest.raises(Error, match=r"net.prototxt:3:.*height must be at least 1"):
        make_net(MEMORY.replace("height: 4", ""))


def test_memory_data_warns_of_a_transform_that_it_does_not_do(make_net: MakeNet) -> None:
    net = make_net(MEMORY.replace('type: "MemoryData"', 'type: "MemoryData" transform_param {}'))
    assert [d.code for d in net.diagnostics] == ["W210"]


def test_constants_are_filled_once_and_others_each_time(make_net: MakeNet) -> None:
    net = dummy(
        make_net,
        'shape { dim: 2 dim: 3 } data_filler { value: 4 } data_filler { type: "uniform" }',
        'top: "a" top: "b"',
    )
    first = net.forward()["b"].copy()
    net.blobs["a"].data[...] = 9
    second = net.forward()
    assert (second["a"] == 9).all()
    assert not np.array_equal(first, second["b"])


def test_dummy_data_depends_on_the_seed_and_can_be_resumed(make_net: MakeNet) -> None:
    def net(seed: int) -> Net:
        param = 'shape { dim: 4 } data_filler { type: "gaussian" }'
        return dummy(make_net, param, seed=seed)

    one, same, other = net(1), net(1), net(2)
    np.testing.assert_array_equal(one.forward()["a"], same.forward()["a"])
    other.forward()
    assert not np.array_equal(one.blobs["a"].data, other.blobs["a"].data)
    other.layers[0].restore(one.layers[0].state())
    np.testing.assert_array_equal(one.forward()["a"], other.forward()["a"])


@pytest.mark.parametrize(
    ("param", "tops", "shapes"),
    [
        ("shape { dim: 2 dim: 3 }", 1, [(2, 3)]),
        ("shape { dim: 2 dim: 3 }", 3, [(2, 3)] * 3),
        ("shape { dim: 2 } shape { }", 2, [(2,), ()]),
        ("num: 2 channels: 3 height: 4 width: 5", 2, [(2, 3, 4, 5)] * 2),
        ("num: 2 num: 7 channels: 3 height: 4 height: 1 width: 5", 2, [(2, 3, 4, 5), (7, 3, 1, 5)]),
    ],
)
def test_dummy_shapes(
    make_net: MakeNet, param: str, tops: int, shapes: list[tuple[int, ...]]
) -> None:
    names = "".join(f'top: "t{i}" ' for i in range(tops))
    found = dummy(make_net, param, names).forward()
    assert [found[f"t{i}"].shape for i in range(tops)] == shapes


@pytest.mark.parametrize(
    ("param", "message"),
    [
        ("", "0 num for 3 tops"),
        ("shape { dim: 1 } shape { dim: 1 }", "2 shape for 3 tops"),
        ("shape { dim: 1 } num: 1", "not both"),
        ("num: 1 channels: 2 height: 3", "0 width for 3 tops"),
        ("shape { dim: -1 }", "a dimension cannot be -1"),
        ("shape { dim: 1 } data_filler { } data_filler { }", "2 data_filler for 3 tops"),
        ('shape { dim: 1 } data_filler { type: "xaver" }', 'unknown filler "xaver"'),
        ('shape { dim: 1 } data_filler { type: "bilinear" }', "a bilinear filler needs"),
    ],
)
def test_dummy_settings_that_cannot_be_are_errors(
    make_net: MakeNet, param: str, message: str
) -> None:
    with pytest.raises(Error, match=f"net.prototxt:1:.*{message}"):
        dummy(make_net, param, 'top: "a" top: "b" top: "c"')
