"""pycaffe's public names, served by protonet: `import protonet.caffe as caffe`."""

from protonet.layers.base import TEST, TRAIN
from protonet.layers.python_layer import PythonLayer as Layer

__all__ = ["TEST", "TRAIN", "Layer"]
