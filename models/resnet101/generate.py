"""ResNet-101: as ResNet-50, with (3, 4, 23, 3) blocks in its stages."""

from __future__ import annotations

from models.blocks import classify, imagenet, write
from models.resnet50.generate import scores
from protonet.caffe.net_spec import NetSpec

if __name__ == "__main__":
    net = NetSpec()
    imagenet(net, crop=224, batch=32)
    classify(net, scores(net, (3, 4, 23, 3)))
    write(__file__, "ResNet-101", net, test_batch=25)
