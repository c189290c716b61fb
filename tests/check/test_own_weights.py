"""Weights in a layer's own text: taken as they are, or refused at their place."""

from __future__ import annotations

import numpy as np
import pytest
from checking import Checker, at, image

import protonet
from protonet import Error

FC = 'layer {{ name: "fc" type: "InnerProduct" bottom: "data" top: "fc" {} {} }}\n'
SETTINGS = "inner_product_param { num_output: 1 weight_filler { value: 9 } }"
WEIGHT = "blobs { shape { dim: 1 dim: 2 } data: 3 data: 4 }"
LEGACY = "blobs { num: 1 channels: 1 height: 1 width: 2 data: 3 data: 4 }"
BIAS = "blobs { shape { dim: 1 } data: 5 }"


@pytest.mark.parametrize("weight", [WEIGHT, LEGACY])
def test_weights_in_the_text_stand_in_for_the_fillers(check: Checker, weight: str) -> None:
    file = check.write(image(1, 2) + FC.format(SETTINGS, weight + BIAS))
    net = protonet.Net(file)
    np.testing.assert_array_equal(net.params["fc"][0].data, [[3, 4]])
    np.testing.assert_array_equal(net.params["fc"][1].data, [5])


@pytest.mark.parametrize(
    ("blobs", "code", "pointed"),
    [
        (WEIGHT, "E301", "blobs"),
        (WEIGHT + BIAS.replace("5", "5 data: 6"), "E302", "blobs"),
        (BIAS + BIAS, "E302", "blobs"),
    ],
)
def test_weights_in_the_text_that_do_not_fit_are_refused(
    check: Checker, blobs: str, code: str, pointed: str
) -> None:
    text = image(1, 2) + FC.format(SETTINGS, blobs)
    assert at(text, check.only(text, code)) == pointed
    with pytest.raises(Error, match=code):
        protonet.Net(check.write(text))
