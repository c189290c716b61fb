"""Parameters in and out of a Net: loading by layer name, sharing, saving."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from protonet.check.weights import fit_weights
from protonet.ir.weights import read_weights, write_weights
from protonet.layers.base import LayerError, Shape, shape_text
from protonet.prototxt.diagnostics import Diagnostic, Error

if TYPE_CHECKING:
    from protonet.net import Net

__all__ = ["copy_from", "misfit", "save", "share_with"]


def misfit(number: int, have: Shape, wanted: Shape) -> LayerError:
    """Says that a parameter a layer has does not fit what its bottom now asks for."""
    return LayerError(
        f"parameter {number} is {shape_text(have)}, but this bottom needs {shape_text(wanted)}",
        bottom=0,
        code="E205",
        help="the input must keep the size that the parameters were made for; to run over "
        "larger images turn InnerProduct into Convolution",
    )


def copy_from(net: Net, path: str | os.PathLike[str]) -> None:
    """Loads parameters by layer name; an Error lists all that do not fit and nothing is changed."""
    fitting = fit_weights(net.graph, read_weights(path))
    if fitting.failed:
        raise Error(*fitting.diagnostics)
    for node, number, array in fitting.places:
        blob = net.layers[node].blobs[number]
        np.copyto(blob.data, array.reshape(blob.shape), casting="same_kind")


def share_with(net: Net, other: Net) -> None:
    """Makes the parameters of equally named layers the other net's memory."""
    problems = []
    for layer in net.layers:
        blobs = other.params.get(layer.name)
        if blobs is None or not layer.blobs:
            continue
        for number, (mine, theirs) in enumerate(zip(layer.blobs, blobs, strict=False)):
            if mine.shape != theirs.shape or len(blobs) != len(layer.blobs):
                problems.append(
                    Diagnostic(
                        "E302",
                        f'parameter {number} of layer "{layer.name}" is '
                        f"{shape_text(theirs.shape)} in the other net, "
                        f"but {shape_text(mine.shape)} here",
                    )
                )
            else:
                mine.share_data(theirs)
    if problems:
        raise Error(*problems)
    net.reshape()


def save(net: Net, path: str | os.PathLike[str], *, diffs: bool = False) -> None:
    """Writes the net and its parameters; the file is whole or not there."""
    layers = [layer for layer in net.layers if layer.blobs]
    data = {layer.name: [blob.data for blob in layer.blobs] for layer in layers}
    gradients = {layer.name: [blob.diff for blob in layer.blobs] for layer in layers}
    write_weights(path, net.graph.net, data, gradients if diffs else None)
