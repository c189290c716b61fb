"""Weights copied, shared and made: by name, by a map, by count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from surgery_nets import conv, fc, image, layer, output, trained

from protonet import Error
from protonet.ir.layer_weights import Weights
from protonet.ir.weights import read_weights
from protonet.surgery.bilinear import bilinear, bilinear_kernel
from protonet.surgery.share import share
from protonet.surgery.trained_net import TrainedNet
from protonet.surgery.transplant import transplant

NET = image(1, 2, 6, 6) + conv("conv1", "data", 4, 3) + fc("fc", "conv1", 5)


def _stored(net: TrainedNet, folder: Path) -> Weights:
    net.write(None, folder / "donor.caffemodel")
    return read_weights(folder / "donor.caffemodel")


def test_weights_go_by_name_and_the_rest_stays(tmp_path: Path) -> None:
    donor, net = trained(NET, 1), trained(NET.replace('"fc"', '"other"'), 2)
    done = transplant(net, _stored(donor, tmp_path))
    np.testing.assert_array_equal(done.blobs["conv1"][0], donor.blobs["conv1"][0])
    np.testing.assert_array_equal(done.blobs["other"][0], net.blobs["other"][0])
    assert done.changes == [
        'layer "conv1": copied 4×2×3×3 and 4',
        'layer "other": not in the donor, keeps its weights',
    ]


def test_weights_go_where_the_map_says(tmp_path: Path) -> None:
    donor, net = trained(NET, 1), trained(NET.replace('"fc"', '"other"'), 2)
    done = transplant(net, _stored(donor, tmp_path), {"fc": "other"})
    np.testing.assert_array_equal(done.blobs["other"][1], donor.blobs["fc"][1])


def test_fully_connected_weights_go_into_a_convolution_by_count(tmp_path: Path) -> None:
    donor = trained(NET, 1)
    slid = trained(image(1, 2, 6, 6) + conv("conv1", "data", 4, 3) + conv("fc", "conv1", 5, 4), 2)
    stored = _stored(donor, tmp_path)
    with pytest.raises(Error, match=r"net\.prototxt:3:.*blob 0 is 5×4×4×4.*\n.*--by-count"):
        transplant(slid, stored)
    done = transplant(slid, stored, by_count=True)
    values = np.random.default_rng(1).normal(size=(1, 2, 6, 6)).astype(np.float32)
    np.testing.assert_allclose(
        output(done, values, "fc")[:, :, 0, 0], output(donor, values, "fc"), rtol=1e-5, atol=1e-6
    )


def test_layer_that_does_not_fit_is_left_out_if_asked(tmp_path: Path) -> None:
    net = trained(NET.replace("num_output: 5", "num_output: 7"), 2)
    done = transplant(net, _stored(trained(NET, 1), tmp_path), skip=True)
    np.testing.assert_array_equal(done.blobs["fc"][0], net.blobs["fc"][0])
    assert done.changes[-1] == 'layer "fc": blob 0 is 7×64, the donor\'s 5×64, keeps its weights'


def test_donor_without_any_layer_of_the_net_is_refused(tmp_path: Path) -> None:
    net = trained(image(1, 2, 6, 6) + fc("other", "data", 5))
    with pytest.raises(Error, match="no layer of the net is in"):
        transplant(net, _stored(trained(NET, 1), tmp_path))


def test_layers_share_the_weights_of_the_first() -> None:
    text = image(1, 4) + fc("a", "data", 4) + fc("b", "a", 4)
    done = share(trained(text), ["a", "b"])
    np.testing.assert_array_equal(done.blobs["b"][0], done.blobs["a"][0])
    names = [[spec.name for spec in done.layer(name).param] for name in "ab"]
    assert names == [["a_0", "a_1"]] * 2
    learnable = done.view().graph.learnable
    assert [len(parameter.uses) for parameter in learnable] == [2, 2]


def test_layers_of_other_sizes_cannot_share() -> None:
    text = image(1, 4) + fc("a", "data", 4) + fc("b", "a", 3)
    with pytest.raises(Error, match=r"net\.prototxt:3:.*blob 0 is 3×4, that of \"a\" 4×4"):
        share(trained(text), ["a", "b"])


def test_bilinear_kernel_of_factor_2() -> None:
    side = np.array([0.25, 0.75, 0.75, 0.25])
    np.testing.assert_allclose(bilinear_kernel(4, 4), np.outer(side, side))
    np.testing.assert_allclose(bilinear_kernel(3, 3)[1], [0.5, 1, 0.5])


@pytest.mark.parametrize("group", [1, 3], ids=["all channels", "in groups"])
def test_deconvolution_enlarges_a_slope_as_a_slope(group: int) -> None:
    text = image(1, 3, 5, 5) + layer(
        "up", "Deconvolution", "data",
        f"convolution_param {{ num_output: 3 kernel_size: 4 stride: 2 pad: 1 group: {group} "
        "bias_term: false }",
    )  # fmt: skip
    done = bilinear(trained(text), fix=True)
    assert done.layer("up").param[0].lr_mult == 0
    slope = np.arange(5, dtype=np.float32) * np.ones((5, 1), np.float32)
    values = np.stack([slope, 2 * slope, -slope])[None]
    enlarged = output(done, values, "up")
    inside = np.arange(1, 9) / 2 - 0.25
    for channel, factor in enumerate((1, 2, -1)):
        np.testing.assert_allclose(enlarged[0, channel, 4, 1:9], factor * inside, atol=1e-6)


def test_named_layer_that_does_not_enlarge_is_refused() -> None:
    with pytest.raises(Error, match=r"net\.prototxt:2:.*no Deconvolution"):
        bilinear(trained(NET), ["conv1"])
