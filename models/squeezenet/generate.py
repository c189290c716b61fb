"""SqueezeNet 1.0: eight fire modules, which squeeze by 1×1 and expand by 1×1 and 3×3."""

from __future__ import annotations

from models.blocks import classify, conv, dropout, gaussian, imagenet, mean_plane, pool, relu, write
from protonet.caffe.net_spec import NetSpec, Top, layers

# Outputs of the squeeze and of each of the two expansions.
FIRES = {2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128),
         6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256)}  # fmt: skip
POOLED = (4, 8)


def conv_relu(net: NetSpec, folder: str, name: str, top: Top, *sizes: int, **more: int) -> Top:
    made = conv(net, f"{folder}/{name}", top, *sizes, **more)
    return relu(net, f"{folder}/relu_{name}", made)


def fire(net: NetSpec, number: int, bottom: Top) -> Top:
    squeeze, expand = FIRES[number]
    folder = f"fire{number}"
    top = conv_relu(net, folder, "squeeze1x1", bottom, squeeze, 1)
    one = conv_relu(net, folder, "expand1x1", top, expand, 1)
    three = conv_relu(net, folder, "expand3x3", top, expand, 3, pad=1)
    net[f"{folder}/concat"] = layers.Concat(one, three)
    return net[f"{folder}/concat"]


if __name__ == "__main__":
    net = NetSpec()
    imagenet(net, crop=227, batch=32)
    top = relu(net, "relu_conv1", conv(net, "conv1", net.data, 96, 7, stride=2))
    top = pool(net, "pool1", top, 3, 2)
    for number in FIRES:
        top = fire(net, number, top)
        if number in POOLED:
            top = pool(net, f"pool{number}", top, 3, 2)
    top = dropout(net, "drop9", top)
    top = relu(net, "relu_conv10", conv(net, "conv10", top, 1000, 1, filler=gaussian(0.01)))
    classify(net, mean_plane(net, "pool10", top))
    write(__file__, "SqueezeNet", net, test_batch=25)
