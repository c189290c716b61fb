"""Trained weights that do not fit are told at the layer's place in the net file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checking import Checker, at, image

from protonet import Error, Net
from protonet.check.examine import Options
from protonet.check.weights import shapes_agree
from protonet.ir.weights import read_weights
from protonet.prototxt.diagnostics import Diagnostic

NET = image(2, 3, 8, 8) + (
    'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" '
    'convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }\n'
    'layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" '
    'inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }\n'
)


@pytest.fixture
def trained(check: Checker, tmp_path: Path) -> str:
    path = str(tmp_path / "trained.caffemodel")
    Net(check.write(NET, "trained.prototxt"), seed=1).save(path)
    return path


def findings(check: Checker, text: str, trained: str) -> list[Diagnostic]:
    return check(text, Options(weights=read_weights(trained)))


def test_weights_of_the_same_net_fit(check: Checker, trained: str) -> None:
    assert findings(check, NET, trained) == []


def test_inner_product_of_another_input_size_shows_the_product(
    check: Checker, trained: str
) -> None:
    text = NET.replace("dim: 8 dim: 8", "dim: 9 dim: 9")
    (found,) = findings(check, text, trained)
    assert found.code == "E302"
    assert found.message == ('parameter 0 of layer "fc" is 5×196, but 5×144 in the trained weights')
    assert at(text, found) == '"conv"'
    assert found.label == "4·7·7 = 196 inputs, trained with 144"


def test_another_num_output_points_at_the_number(check: Checker, trained: str) -> None:
    text = NET.replace("num_output: 5", "num_output: 6")
    (found,) = findings(check, text, trained)
    assert (found.code, at(text, found), found.label) == ("E302", "6", "trained with 5")
    assert "parameter 1 is 6, but 5 there" in found.notes


def test_another_number_of_blobs(check: Checker, trained: str) -> None:
    text = NET.replace("num_output: 5", "num_output: 5 bias_term: false")
    (found,) = findings(check, text, trained)
    assert (found.code, at(text, found)) == ("E301", '"fc"')
    assert "has 1 parameter blob, but 2 parameter blobs in the trained weights" in found.message


def test_layer_that_was_renamed_is_told_of_its_weights(check: Checker, trained: str) -> None:
    (found,) = findings(check, NET.replace('"fc"', '"fc_"'), trained)
    assert found.code == "I301"
    assert 'a layer "fc"' in found.help


def test_weights_of_another_net_are_one_warning(check: Checker, trained: str) -> None:
    text = NET.replace('name: "fc"', 'name: "a"').replace('name: "conv"', 'name: "b"')
    assert [d.code for d in findings(check, text, trained)] == ["W301"]


def test_net_that_cannot_load_weights_tells_all_and_changes_nothing(
    check: Checker, trained: str
) -> None:
    text = NET.replace("num_output: 5", "num_output: 6").replace("num_output: 4", "num_output: 7")
    net = Net(check.write(text), seed=2)
    before = [blob.data.copy() for blob in net.learnable_params]
    with pytest.raises(Error) as caught:
        net.copy_from(trained)
    assert [d.code for d in caught.value.diagnostics] == ["E302", "E302"]
    for blob, values in zip(net.learnable_params, before, strict=True):
        np.testing.assert_array_equal(blob.data, values)


@pytest.mark.parametrize(
    ("wanted", "stored", "legacy", "agree"),
    [
        ((5, 144), (5, 144), False, True),
        ((5, 144), (1, 1, 5, 144), False, False),
        ((5, 144), (1, 1, 5, 144), True, True),
        ((5,), (1, 1, 1, 5), True, True),
        ((5, 4, 6, 6), (1, 1, 5, 144), True, False),
        ((1, 1, 1, 1, 5), (1, 1, 1, 5), True, False),
    ],
)
def test_legacy_shapes_may_have_ones_in_front(
    wanted: tuple[int, ...], stored: tuple[int, ...], legacy: bool, agree: bool
) -> None:
    assert shapes_agree(wanted, stored, legacy) is agree
