"""All messages and enums under Caffe's names; they are protonet's own."""

from typing import Any

from protonet.ir import protonet_pb2
from protonet.ir.protonet_pb2 import *  # noqa: F403


def __getattr__(name: str) -> Any:
    return getattr(protonet_pb2, name)
