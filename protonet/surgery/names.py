"""Blobs and layers under other names."""

from __future__ import annotations

from collections.abc import Mapping

from protonet.ir.protonet_pb2 import NetParameter

__all__ = ["rename_blobs"]


def rename_blobs(net: NetParameter, names: Mapping[str, str]) -> None:
    """Renames blobs wherever they are made or read, in the net that is given."""
    for layer in net.layer:
        for blobs in (layer.bottom, layer.top):
            for position, name in enumerate(blobs):
                if name in names:
                    blobs[position] = names[name]
