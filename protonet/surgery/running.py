"""Running a net under the knife: its blobs given to a Net."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from protonet.ir.protonet_pb2 import TEST
from protonet.net import Net

from .input_shape import resize_input
from .trained_net import TrainedNet

__all__ = ["run", "running_net"]


def running_net(
    trained: TrainedNet,
    size: tuple[int, int] | None = None,
    *,
    phase: int = TEST,
    dtype: type = np.float32,
    seed: int | None = None,
) -> Net:
    """Returns a Net with these weights, for images of H×W = `size` if that is given.

    Layers without weights start from their fillers.
    """
    if size is not None:
        trained = trained.copy()
        resize_input(trained, size, batch=1, note=False)
    net = Net(trained.document(), state=trained.state(phase), dtype=dtype, seed=seed)
    for name, blobs in net.params.items():
        for blob, array in zip(blobs, trained.blobs.get(name, ()), strict=False):
            np.copyto(blob.data, array.reshape(blob.shape), casting="same_kind")
    return net


def run(net: Net, name: str, values: npt.NDArray[Any]) -> None:
    """Runs the net forward on these values of its input blob `name`, which takes their shape."""
    blob = net.blobs[name]
    if blob.shape != values.shape:
        blob.reshape(*values.shape)
    blob.data[...] = values
    net.run_forward()
