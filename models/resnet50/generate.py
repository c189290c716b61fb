"""ResNet-50: sixteen bottleneck blocks in four stages, each added to what it started from."""

from __future__ import annotations

from models.blocks import (
    MSRA,
    classify,
    conv,
    dense,
    imagenet,
    mean_plane,
    norm,
    pool,
    relu,
    write,
)  # fmt: skip
from protonet.caffe.net_spec import NetSpec, Top, layers

WIDTHS = (64, 128, 256, 512)


def normed(net: NetSpec, name: str, top: Top, *sizes: int, **more: int) -> Top:
    """Adds a convolution without bias and its batch normalisation."""
    made = conv(net, name, top, *sizes, bias=None, filler=MSRA, **more)
    short = name.removeprefix("res") if name != "conv1" else "_conv1"
    return norm(net, f"bn{short}", f"scale{short}", made)


def block(net: NetSpec, name: str, bottom: Top, width: int, stride: int, first: bool) -> Top:
    """Adds 1×1 (which has the stride), 3×3 and 1×1 with four times the width."""
    short = bottom
    if first:
        short = normed(net, f"{name}_branch1", bottom, 4 * width, 1, stride=stride)
    top = normed(net, f"{name}_branch2a", bottom, width, 1, stride=stride)
    top = relu(net, f"{name}_branch2a_relu", top)
    top = normed(net, f"{name}_branch2b", top, width, 3, pad=1)
    top = relu(net, f"{name}_branch2b_relu", top)
    top = normed(net, f"{name}_branch2c", top, 4 * width, 1)
    net[name] = layers.Eltwise(short, top)
    return relu(net, f"{name}_relu", net[name])


def block_name(stage: int, number: int, depth: int) -> str:
    """Returns res2a, res2b, …; in stages too long for letters res4a, res4b1, res4b2, …"""
    if depth <= 6 or number == 0:
        return f"res{stage}{chr(ord('a') + number)}"
    return f"res{stage}b{number}"


def scores(net: NetSpec, depths: tuple[int, ...]) -> Top:
    """Adds the layers of a residual net; `depths` is how many blocks each stage has."""
    top = normed(net, "conv1", net.data, 64, 7, stride=2, pad=3)
    top = pool(net, "pool1", relu(net, "conv1_relu", top), 3, 2)
    for stage, (width, depth) in enumerate(zip(WIDTHS, depths, strict=True), 2):
        for number in range(depth):
            stride = 2 if stage > 2 and number == 0 else 1
            name = block_name(stage, number, depth)
            top = block(net, name, top, width, stride, number == 0)
    return dense(net, "fc1000", mean_plane(net, "pool5", top), 1000, filler=MSRA)


if __name__ == "__main__":
    net = NetSpec()
    imagenet(net, crop=224, batch=32)
    classify(net, scores(net, (3, 4, 6, 3)))
    write(__file__, "ResNet-50", net, test_batch=25)
