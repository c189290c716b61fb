"""Blobs with several readers are split, and the copies have Caffe's names."""

from __future__ import annotations

from pathlib import Path

import pytest

from protonet.ir import NetParameter, insert_splits
from protonet.prototxt import SourceMap, format_text, parse_text

DATA = 'layer { name: "d" type: "Input" top: "x" top: "y" }\n'


def split(text: str) -> tuple[NetParameter, SourceMap]:
    return insert_splits(*parse_text(text, NetParameter))


def test_a_net_without_shared_blobs_stays_as_it_is() -> None:
    text = DATA + 'layer { name: "r" type: "ReLU" bottom: "x" top: "x" }'
    assert split(text)[0] == parse_text(text, NetParameter)[0]


def test_each_reader_gets_its_copy_in_order() -> None:
    net, source = split(
        DATA
        + 'layer { name: "a" bottom: "y" top: "a" }\n'
        + 'layer { name: "b" bottom: "x" bottom: "y" top: "b" }'
    )
    assert [layer.name for layer in net.layer] == ["d", "y_d_1_split", "a", "b"]
    assert net.layer[1].type == "Split"
    assert list(net.layer[1].bottom) == ["y"]
    assert list(net.layer[1].top) == ["y_d_1_split_0", "y_d_1_split_1"]
    assert list(net.layer[2].bottom) == ["y_d_1_split_0"]
    assert list(net.layer[3].bottom) == ["x", "y_d_1_split_1"]
    assert source.span(("layer", 3, "bottom", 1)).line == 3
    assert source.span(("layer", 1)).line == 1


def test_the_last_layer_in_place_makes_the_blob_that_is_split() -> None:
    net, _ = split(
        'layer { name: "ip" top: "h" }\n'
        'layer { name: "relu" bottom: "h" top: "h" }\n'
        'layer { name: "a" bottom: "h" top: "a" }\n'
        'layer { name: "b" bottom: "h" top: "b" }'
    )
    assert [layer.name for layer in net.layer] == ["ip", "relu", "h_relu_0_split", "a", "b"]
    assert list(net.layer[1].bottom) == ["h"]


def test_one_layer_may_read_a_blob_twice() -> None:
    net, _ = split(DATA + 'layer { name: "e" bottom: "x" bottom: "x" top: "e" }')
    assert list(net.layer[2].bottom) == ["x_d_0_split_0", "x_d_0_split_1"]


def test_a_loss_weight_counts_as_a_reader_and_moves_to_the_first_copy() -> None:
    net, _ = split(
        'layer { name: "ip" top: "h" loss_weight: 0.25 }\n'
        'layer { name: "a" bottom: "h" top: "a" }\n'
        'layer { name: "b" bottom: "h" top: "b" }'
    )
    assert list(net.layer[1].top) == [f"h_ip_0_split_{k}" for k in range(3)]
    assert list(net.layer[1].loss_weight) == [0.25, 0, 0]
    assert not any(net.layer[0].loss_weight)
    assert list(net.layer[2].bottom) == ["h_ip_0_split_1"]
    assert list(net.layer[3].bottom) == ["h_ip_0_split_2"]


def test_a_loss_weight_of_zero_is_no_reader() -> None:
    net, _ = split(
        'layer { name: "ip" top: "h" loss_weight: 0 }\nlayer { name: "a" bottom: "h" top: "a" }'
    )
    assert len(net.layer) == 2


def test_unknown_bottoms_are_left_to_check() -> None:
    net, _ = split('layer { name: "a" bottom: "q" }\nlayer { name: "b" bottom: "q" }')
    assert [list(layer.bottom) for layer in net.layer] == [["q"], ["q"]]


@pytest.mark.parametrize("readers", [2, 3, 12])
def test_splitting_twice_changes_nothing_more(readers: int) -> None:
    text = DATA + "".join(f'layer {{ name: "r{i}" bottom: "x" }}\n' for i in range(readers))
    once, source = split(text)
    assert format_text(insert_splits(once, source)[0]) == format_text(once)


def without_splits(net: NetParameter) -> NetParameter:
    """A net as it was before its splits were inserted."""
    joined = NetParameter()
    blobs: dict[str, str] = {}
    for layer in net.layer:
        if layer.type == "Split":
            blobs.update(dict.fromkeys(layer.top, layer.bottom[0]))
        else:
            joined.layer.append(layer)
            joined.layer[-1].bottom[:] = [blobs.get(name, name) for name in layer.bottom]
    return joined


def test_published_weights_have_the_same_splits(shared: Path) -> None:
    count = 0
    for path in sorted((shared / "models").glob("*/*.caffemodel")):
        net = NetParameter.FromString(path.read_bytes())
        again, _ = insert_splits(without_splits(net), SourceMap())
        wanted, found = (
            [(x.name, x.type, list(x.bottom), list(x.top)) for x in n.layer] for n in (net, again)
        )
        assert found == wanted
        count += sum(layer.type == "Split" for layer in net.layer)
    assert count
