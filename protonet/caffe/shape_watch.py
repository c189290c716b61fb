"""ShapeWatch: scripts reshape any blob at any time; a net must notice before it runs."""

from __future__ import annotations

from protonet.blob import all_moves
from protonet.layers.base import Shape
from protonet.net import Net

__all__ = ["ShapeWatch"]


class ShapeWatch:
    """Knows the shapes and the memory of all blobs and parameters that a net last ran with.

    In Caffe every layer reshapes in every pass; here layers are reshaped before they run again
    when some blob has another shape than it had, or had one meanwhile that needed more memory.
    """

    def __init__(self, net: Net) -> None:
        self._net = net
        self._blobs = [*net._blobs, *net.learnable_params]
        self._moves_seen = -1
        self.note()

    def settle(self) -> None:
        """Tells the net, before it runs forward, what a script has changed since the last pass."""
        if self._shapes != self._shapes_now() or self._have_moved():
            self._net.forget_shapes()

    def settle_backward(self) -> None:
        """Tells the net the same before it runs backward, so that layers keep what they remember
        of the forward pass where a gradient has only been given its memory."""
        if self._shapes != self._shapes_now():
            self._net.forget_shapes()
        elif self._have_moved():
            self._net.forget_gradients()

    def note(self) -> None:
        """Takes the present state as known; called when the net has run or reshaped."""
        self._shapes = self._shapes_now()
        if self._moves_seen != all_moves():
            self._moves_seen, self._moves = all_moves(), self._moves_now()

    def _have_moved(self) -> bool:
        return self._moves_seen != all_moves() and self._moves != self._moves_now()

    def _shapes_now(self) -> list[Shape]:
        return [blob.shape for blob in self._blobs]

    def _moves_now(self) -> list[int]:
        return [blob.moves for blob in self._blobs]
