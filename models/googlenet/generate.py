"""GoogLeNet: nine inception modules, two auxiliary classifiers."""

from __future__ import annotations

from models.blocks import classify, conv, dense, dropout, imagenet, pool, relu, write
from protonet.caffe.net_spec import NetSpec, Top, layers

# Outputs of 1×1; 3×3's reduction and 3×3; 5×5's reduction and 5×5; the projection of the pooling.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
AUXILIARY = {"4a": "loss1/", "4d": "loss2/"}  # behind these modules
LRN = {"local_size": 5, "alpha": 1e-4, "beta": 0.75}
BIAS = 0.2


def conv_relu(net: NetSpec, folder: str, name: str, top: Top, *sizes: int, **more: int) -> Top:
    made = conv(net, f"{folder}/{name}", top, *sizes, bias=BIAS, **more)
    return relu(net, f"{folder}/relu_{name}", made)


def inception(net: NetSpec, name: str, bottom: Top) -> Top:
    folder = f"inception_{name}"
    one, reduce3, three, reduce5, five, projection = MODULES[name]
    branches = [conv_relu(net, folder, "1x1", bottom, one, 1)]
    reduced = conv_relu(net, folder, "3x3_reduce", bottom, reduce3, 1)
    branches.append(conv_relu(net, folder, "3x3", reduced, three, 3, pad=1))
    reduced = conv_relu(net, folder, "5x5_reduce", bottom, reduce5, 1)
    branches.append(conv_relu(net, folder, "5x5", reduced, five, 5, pad=2))
    pooled = pool(net, f"{folder}/pool", bottom, 3, 1, pad=1)
    branches.append(conv_relu(net, folder, "pool_proj", pooled, projection, 1))
    net[f"{folder}/output"] = layers.Concat(*branches)
    return net[f"{folder}/output"]


def auxiliary(net: NetSpec, prefix: str, bottom: Top) -> None:
    """Adds a classifier half-way, whose loss counts 0.3."""
    top = pool(net, f"{prefix}ave_pool", bottom, 5, 3, pool=1)
    top = relu(net, f"{prefix}relu_conv", conv(net, f"{prefix}conv", top, 128, 1, bias=BIAS))
    top = relu(net, f"{prefix}relu_fc", dense(net, f"{prefix}fc", top, 1024, bias=BIAS))
    top = dropout(net, f"{prefix}drop_fc", top, 0.7)
    classify(net, dense(net, f"{prefix}classifier", top, 1000), prefix, weight=0.3)


def stem(net: NetSpec) -> Top:
    top = conv_relu(net, "conv1", "7x7_s2", net.data, 64, 7, stride=2, pad=3)
    top = pool(net, "pool1/3x3_s2", top, 3, 2)
    net["pool1/norm1"] = layers.LRN(top, **LRN)
    top = conv_relu(net, "conv2", "3x3_reduce", net["pool1/norm1"], 64, 1)
    top = conv_relu(net, "conv2", "3x3", top, 192, 3, pad=1)
    net["conv2/norm2"] = layers.LRN(top, **LRN)
    return pool(net, "pool2/3x3_s2", net["conv2/norm2"], 3, 2)


if __name__ == "__main__":
    net = NetSpec()
    imagenet(net, crop=224, batch=32)
    top = stem(net)
    for name in MODULES:
        top = inception(net, name, top)
        if name in AUXILIARY:
            auxiliary(net, AUXILIARY[name], top)
        if name in ("3b", "4e"):
            top = pool(net, f"pool{int(name[0])}/3x3_s2", top, 3, 2)
    top = dropout(net, "pool5/drop_7x7_s1", pool(net, "pool5/7x7_s1", top, 7, 1, pool=1), 0.4)
    classify(net, dense(net, "loss3/classifier", top, 1000), "loss3/")
    write(__file__, "GoogLeNet", net, test_batch=50)
