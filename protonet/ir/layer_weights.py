"""Trained weights in memory: what a file of weights holds, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from .blobs import Array

__all__ = ["Blobs", "LayerWeights", "Weights"]

Blobs = Mapping[str, Sequence[Array]]
"""Layer name → its blobs."""


@dataclass
class LayerWeights:
    """The blobs of one layer, as stored: float32 or float64, read-only views of the file.

    `legacy[i]`: blob i has its shape as num, channels, height and width (then N×C×H×W, where
    leading ones may stand for nothing). A blob that an HDF5 file leaves out is None, or missing
    at the end (see `Weights.leaves_out_shared`).
    """

    name: str
    type: str
    blobs: list[Array | None]
    legacy: list[bool]


@dataclass
class Weights:
    """All layers of a file of weights, in the order of the file.

    `leaves_out_shared`: HDF5 files hold a blob that several layers share only once, in the
    layer that comes first; and they do not tell types (which are "" then).
    """

    file: str
    layers: list[LayerWeights]
    leaves_out_shared: bool = False

    def find(self, name: str) -> LayerWeights | None:
        """Give the first layer of that name."""
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> dict[str, LayerWeights]:
        return {layer.name: layer for layer in reversed(self.layers)}
