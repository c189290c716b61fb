"""CaffeNet: AlexNet with pooling before normalisation."""

from __future__ import annotations

from models.alexnet.generate import features, head
from models.blocks import classify, imagenet, write
from protonet.caffe.net_spec import NetSpec

if __name__ == "__main__":
    net = NetSpec()
    imagenet(net, crop=227, batch=256)
    classify(net, head(net, features(net, norm_first=False), bias=1.0))
    write(__file__, "CaffeNet", net, test_batch=50)
