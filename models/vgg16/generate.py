"""VGG-16: thirteen convolutions 3×3 in five blocks, and three fully connected layers."""

from __future__ import annotations

from models.blocks import (
    MSRA,
    classify,
    conv,
    dense,
    dropout,
    gaussian,
    imagenet,
    pool,
    relu,
    write,
)  # fmt: skip
from protonet.caffe.net_spec import NetSpec, Top

WIDTHS = (64, 128, 256, 512, 512)


def scores(net: NetSpec, depths: tuple[int, ...]) -> Top:
    """Adds the layers of a VGG net; `depths` is how many convolutions each block has."""
    top = net.data
    for block, (width, depth) in enumerate(zip(WIDTHS, depths, strict=True), 1):
        for number in range(1, depth + 1):
            name = f"{block}_{number}"
            top = conv(net, f"conv{name}", top, width, 3, pad=1, filler=MSRA)
            top = relu(net, f"relu{name}", top)
        top = pool(net, f"pool{block}", top, 2, 2)
    for number in (6, 7):
        top = relu(
            net, f"relu{number}", dense(net, f"fc{number}", top, 4096, filler=gaussian(0.005))
        )
        top = dropout(net, f"drop{number}", top)
    return dense(net, "fc8", top, 1000, filler=gaussian(0.01))


if __name__ == "__main__":
    net = NetSpec()
    imagenet(net, crop=224, batch=64)
    classify(net, scores(net, (2, 2, 3, 3, 3)))
    write(__file__, "VGG16", net, test_batch=32)
