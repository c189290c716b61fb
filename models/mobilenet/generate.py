"""MobileNet: thirteen convolutions that are separable into one per channel and a 1×1."""

from __future__ import annotations

from models.blocks import MSRA, classify, conv, dense, imagenet, mean_plane, norm, relu, write
from protonet.caffe.net_spec import NetSpec, Top

# Outputs and stride of each.
SEPARABLE = {
    "conv2_1": (64, 1), "conv2_2": (128, 2), "conv3_1": (128, 1), "conv3_2": (256, 2),
    "conv4_1": (256, 1), "conv4_2": (512, 2), "conv5_1": (512, 1), "conv5_2": (512, 1),
    "conv5_3": (512, 1), "conv5_4": (512, 1), "conv5_5": (512, 1), "conv5_6": (1024, 2),
    "conv6": (1024, 1),
}  # fmt: skip


def normed(net: NetSpec, name: str, top: Top, *sizes: int, **more: int) -> Top:
    """Adds a convolution without bias, batch normalisation and ReLU."""
    made = conv(net, name, top, *sizes, bias=None, filler=MSRA, **more)
    return relu(net, f"relu{name[4:]}", norm(net, f"{name}/bn", f"{name}/scale", made))


if __name__ == "__main__":
    net = NetSpec()
    imagenet(net, crop=224, batch=64)
    top, channels = normed(net, "conv1", net.data, 32, 3, stride=2, pad=1), 32
    for name, (outputs, stride) in SEPARABLE.items():
        top = normed(net, f"{name}/dw", top, channels, 3, pad=1, stride=stride, group=channels)
        top = normed(net, f"{name}/sep", top, outputs, 1)
        channels = outputs
    classify(net, dense(net, "fc7", mean_plane(net, "pool6", top), 1000, filler=MSRA))
    write(__file__, "MobileNet", net, test_batch=25)
