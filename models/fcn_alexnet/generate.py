"""FCN-AlexNet: AlexNet's layers as convolutions, a class for each pixel."""

from __future__ import annotations

from models.alexnet.generate import features
from models.blocks import IMAGENET_MEAN, conv, dropout, gaussian, relu, write
from protonet.caffe.coord_map import crop
from protonet.caffe.net_spec import NetSpec, layers

CLASSES = 21  # of PASCAL VOC: 20 and the background
IGNORED = 255  # pixels on the edges of things, of no class
FROZEN = [{"lr_mult": 0, "decay_mult": 0}]


def images(name: str, mean: list[int]) -> object:
    return layers.Data(
        include={"phase": 0},
        transform_param={"mean_value": mean} if mean else {},
        data_param={"source": f"data/voc_train_{name}_lmdb", "backend": 1, "batch_size": 1},
    )


if __name__ == "__main__":
    net = NetSpec()
    net.data, net.label = images("images", IMAGENET_MEAN), images("labels", [])
    # So much padding that the map reaches beyond images of any size, and is cut to theirs.
    top = features(net, norm_first=True, pad=100)
    for name, kernel in (("6", 6), ("7", 1)):
        top = conv(net, f"fc{name}", top, 4096, kernel, filler=gaussian(0.005), bias=0.1)
        top = dropout(net, f"drop{name}", relu(net, f"relu{name}", top))
    top = conv(net, "score_fr", top, CLASSES, 1, filler={"type": "constant"})
    net.upscore = layers.Deconvolution(
        top,
        param=FROZEN,
        convolution_param={
            "num_output": CLASSES, "kernel_size": 63, "stride": 32, "group": CLASSES,
            "bias_term": False, "weight_filler": {"type": "bilinear"},
        },
    )  # fmt: skip
    net.score = crop(net.upscore, net.data)
    net.loss = layers.SoftmaxWithLoss(
        net.score, net.label, loss_param={"ignore_label": IGNORED, "normalize": False}
    )
    net.accuracy = layers.Accuracy(
        net.score, net.label, include={"phase": 1}, ignore_label=IGNORED, axis=1
    )
    write(__file__, "FCN-AlexNet", net, test_batch=1, shape=(3, 500, 500))
