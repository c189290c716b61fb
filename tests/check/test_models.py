"""The nets of this repository."""

from __future__ import annotations

from pathlib import Path

import pytest

import protonet

MODELS = Path(__file__).parents[2] / "models"
NETS = sorted(MODELS.glob("*/deploy.prototxt"))


@pytest.mark.parametrize("net", NETS, ids=lambda path: path.parent.name)
def test_a_deployed_net_is_in_order_and_takes_the_weights_of_training(net: Path) -> None:
    assert protonet.check(str(net)) == []
    shapes = []
    for path in (net, net.with_name("train_val.prototxt")):
        message = protonet.read_net(str(path))
        layers = [layer for layer in message.layer if layer.type in ("Convolution", "InnerProduct")]
        shapes.append([(layer.name, layer.convolution_param.num_output) for layer in layers])
    kept, trained = shapes
    assert kept == [layer for layer in trained if layer in kept] != []  # heads of losses stay away
