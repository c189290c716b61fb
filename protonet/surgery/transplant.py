"""Weights from one net into another: by layer name or a map of names, shapes told."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from protonet.ir.layer_weights import Weights
from protonet.layers.base import Shape, shape_text
from protonet.prototxt.diagnostics import Diagnostic, Error, nearest

from .running import running_net
from .trained_net import TrainedNet

__all__ = ["transplant"]


def transplant(
    trained: TrainedNet,
    donor: Weights,
    names: Mapping[str, str] | None = None,
    *,
    by_count: bool = False,
    skip: bool = False,
    seed: int | None = None,
) -> TrainedNet:
    """Returns the net with the donor's blobs where they fit.

    `names` maps the donor's layers to the net's; others go by their own names. Blobs fit if
    their shapes are equal, or with `by_count` if they have as many values (as InnerProduct's and
    Convolution's do). What has no weights yet and gets none starts from its fillers. `changes`
    tells of every layer. Raises Error at one that does not fit, unless `skip` leaves it out.
    """
    mapping = dict(names or {})
    for old in mapping:
        if donor.find(old) is None:
            near = nearest(old, [layer.name for layer in donor.layers])
            raise Error(
                Diagnostic(
                    "E501", f'{donor.file} has no layer "{old}"',
                    help=f'did you mean "{near}"?' if near else "",
                )
            )  # fmt: skip
    for new in mapping.values():
        trained.index(new)
    sources = {new: old for old, new in mapping.items()}
    found = trained.copy()
    net = running_net(trained, seed=seed)
    wrong: list[Diagnostic] = []
    copied = 0
    for name, blobs in net.params.items():
        mine = [blob.data.copy() for blob in blobs]
        source = sources.get(name, name if name not in mapping else None)
        given = donor.find(source) if source is not None else None
        title = f'layer "{name}"'
        found.blobs[name] = mine
        if given is None or not given.blobs:
            found.changes.append(f"{title}: not in the donor, {_kept(trained, name)}")
            continue
        arrays = [blob for blob in given.blobs if blob is not None]
        shapes = [tuple(array.shape) for array in arrays]
        reason = _misfit([blob.shape for blob in blobs], shapes, by_count)
        if reason is None:
            for blob, array in zip(mine, arrays, strict=True):
                np.copyto(blob.reshape(-1), array.reshape(-1), casting="same_kind")
            other = f' of "{source}"' if source != name else ""
            reshaped = any(b.shape != s for b, s in zip(blobs, shapes, strict=True))
            told = " and ".join(shape_text(shape) for shape in shapes)
            became = f" as {shape_text(blobs[0].shape)}" if reshaped else ""
            found.changes.append(f"{title}: copied {told}{other}{became}")
            copied += 1
        elif skip:
            found.changes.append(f"{title}: {reason}, {_kept(trained, name)}")
        else:
            place = trained.source.span(("layer", trained.index(name), "name"))
            spans = (place,) if trained.source.text else ()
            help = "give --skip to leave it as it is"
            if not by_count and _misfit([blob.shape for blob in blobs], shapes, True) is None:
                help = "the counts agree: give --by-count to copy the values in their order"
            wrong.append(Diagnostic("E302", f"{title}: {reason}", spans, help=help))
    if wrong:
        raise Error(*wrong)
    if not copied:
        raise Error(f"no layer of the net is in {donor.file}")
    return found


def _kept(trained: TrainedNet, name: str) -> str:
    return "keeps its weights" if name in trained.blobs else "starts from its fillers"


def _misfit(wanted: list[Shape], given: list[Shape], by_count: bool) -> str | None:
    if len(wanted) != len(given):
        return f"it has {len(wanted)} blobs, the donor's {len(given)}"
    for number, (mine, theirs) in enumerate(zip(wanted, given, strict=True)):
        fits = mine == theirs or (
            (by_count or _without_ones(mine) == _without_ones(theirs))
            and math.prod(mine) == math.prod(theirs)
        )
        if not fits:
            return f"blob {number} is {shape_text(mine)}, the donor's {shape_text(theirs)}"
    return None


def _without_ones(shape: Shape) -> Shape:
    """Returns a shape without leading ones, which old files put before a vector or a matrix."""
    first = next((axis for axis, size in enumerate(shape) if size != 1), len(shape))
    return shape[first:]
