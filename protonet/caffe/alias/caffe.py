"""`import caffe` in the Python processes that a script starts: its folder stands in their path."""

import sys

import protonet.caffe

sys.modules[__name__] = protonet.caffe
