"""Layer: what a script sees of a net's layers."""

from __future__ import annotations

from collections.abc import Sequence

from protonet.blob import Blob
from protonet.layers.base import Layer as Computing
from protonet.layers.base import LayerError
from protonet.layers.python_layer import Python, PythonLayer

from .errors import CaffeError

__all__ = ["BuiltInLayer", "layer_seen"]


class BuiltInLayer(PythonLayer):
    """A layer of protonet's own: its `type` and its parameters `blobs`."""

    def __init__(self, layer: Computing) -> None:
        self._layer = layer
        self.type = layer.type
        self.phase = layer.phase

    @property
    def blobs(self) -> list[Blob]:  # type: ignore[override]
        return self._layer.blobs

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Gives the tops the shapes that follow from the bottoms'."""
        try:
            shapes = self._layer.infer([blob.shape for blob in bottom])
        except LayerError as error:
            raise CaffeError(f"{self.type}: {error.message}") from None
        for blob, shape in zip(top, shapes, strict=True):
            blob.reshape(*shape)


def layer_seen(layer: Computing) -> PythonLayer:
    """Returns what stands for a layer: of a Python layer the user's own object."""
    if isinstance(layer, Python) and layer.instance is not None:
        return layer.instance
    return BuiltInLayer(layer)
