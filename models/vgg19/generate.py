"""VGG-19: VGG-16 with a fourth convolution in each of the last three blocks."""

from __future__ import annotations

from models.blocks import classify, imagenet, write
from models.vgg16.generate import scores
from protonet.caffe.net_spec import NetSpec

if __name__ == "__main__":
    net = NetSpec()
    imagenet(net, crop=224, batch=64)
    classify(net, scores(net, (2, 2, 4, 4, 4)))
    write(__file__, "VGG19", net, test_batch=32)
