"""ShapeWatch: scripts reshape any blob at any time; a net must notice before it runs."""

from __future__ import annotations

from protonet.layers.base import Shape
from protonet.net import Net

__all__ = ["ShapeWatch"]


class ShapeWatch:
    """Knows the shapes of all blobs and parameters that a net last ran with.

    In Caffe every layer reshapes in every pass; here the layers from the first that runs on are
    reshaped when some blob has another shape than it had.
    """

    def __init__(self, net: Net) -> None:
        self._net = net
        self._settled_from = 0  # layers before this one may not know of a blob's new shape
        self._seen = self._shapes()

    def settle(self, start: int) -> None:
        """Reshapes what has to be before a pass that starts at this layer."""
        changed = self._seen != self._shapes()
        if changed or start < self._settled_from:
            self._net._reshape_from(start)
            self._settled_from = start if changed else min(start, self._settled_from)

    def note(self) -> None:
        """Takes the present shapes as known; called when the net has run or reshaped."""
        self._seen = self._shapes()

    def _shapes(self) -> list[Shape]:
        shapes = [blob.shape for blob in self._net._blobs]
        shapes += [blob.shape for blob in self._net.learnable_params]
        return shapes
