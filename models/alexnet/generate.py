"""AlexNet: five convolutions, three of them in two groups, and three fully connected layers."""

from __future__ import annotations

from models.blocks import classify, conv, dense, dropout, gaussian, imagenet, pool, relu, write
from protonet.caffe.net_spec import NetSpec, Top, layers

LRN = {"local_size": 5, "alpha": 1e-4, "beta": 0.75}


def features(net: NetSpec, *, norm_first: bool, pad: int = 0) -> Top:
    """Adds conv1 … pool5. AlexNet normalises before it pools, CaffeNet after."""
    first = {"stride": 4} | ({"pad": pad} if pad else {})
    top = net.data
    for number, outputs, kernel, more in (
        (1, 96, 11, first),
        (2, 256, 5, {"pad": 2, "group": 2}),
    ):
        # Half of the biases start from 1 or so, that ReLUs have something to pass on.
        bias = 0.0 if number == 1 else (0.1 if norm_first else 1.0)
        top = conv(net, f"conv{number}", top, outputs, kernel,
                   filler=gaussian(0.01), bias=bias, **more)  # fmt: skip
        top = relu(net, f"relu{number}", top)
        if norm_first:
            net[f"norm{number}"] = layers.LRN(top, **LRN)
            top = pool(net, f"pool{number}", net[f"norm{number}"], 3, 2)
        else:
            top = pool(net, f"pool{number}", top, 3, 2)
            net[f"norm{number}"] = top = layers.LRN(top, **LRN)
    for number, outputs, group in ((3, 384, 1), (4, 384, 2), (5, 256, 2)):
        bias = 0.0 if number == 3 else (0.1 if norm_first else 1.0)
        more = {"pad": 1} | ({"group": group} if group > 1 else {})
        top = conv(net, f"conv{number}", top, outputs, 3,
                   filler=gaussian(0.01), bias=bias, **more)  # fmt: skip
        top = relu(net, f"relu{number}", top)
    return pool(net, "pool5", top, 3, 2)


def head(net: NetSpec, top: Top, bias: float) -> Top:
    """Adds fc6, fc7 and fc8."""
    for name in ("6", "7"):
        top = dense(net, f"fc{name}", top, 4096, filler=gaussian(0.005), bias=bias)
        top = dropout(net, f"drop{name}", relu(net, f"relu{name}", top))
    return dense(net, "fc8", top, 1000, filler=gaussian(0.01))


if __name__ == "__main__":
    net = NetSpec()
    imagenet(net, crop=227, batch=256)
    classify(net, head(net, features(net, norm_first=True), bias=0.1))
    write(__file__, "AlexNet", net, test_batch=50)
