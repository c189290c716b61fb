"""The ways to call Net that pycaffe has had."""

from __future__ import annotations

import operator
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from protonet.layers.base import TEST, TRAIN

from .errors import CaffeError

__all__ = ["NetArguments", "net_arguments"]

_NAMES = ("network_file", "phase", "level", "stages", "weights")
_FORMER_NAMES = ("network_file", "weights", "phase")
_OTHER_NAMES = {"param_file": "network_file", "pretrained_param_file": "weights"}


@dataclass(frozen=True)
class NetArguments:
    """What a Net is made from."""

    network_file: Any
    phase: int
    level: int = 0
    stages: Sequence[str] = ()
    weights: str | os.PathLike[str] | None = None


def net_arguments(arguments: Sequence[Any], named: Mapping[str, Any]) -> NetArguments:
    """Sorts the arguments of Net(file, phase, level, stages, weights) or Net(file, weights, phase).

    Raises TypeError if they are neither, CaffeError if there is no such phase.
    """
    given = {_OTHER_NAMES.get(name, name): value for name, value in named.items()}
    former = len(arguments) > 1 and isinstance(arguments[1], str | os.PathLike)
    names = _FORMER_NAMES if former else _NAMES
    unknown = set(given) - set(_NAMES)
    if len(arguments) > len(names) or unknown or set(names[: len(arguments)]) & set(given):
        raise TypeError(
            "Net takes (network_file, phase, level=0, stages=None, weights=None), "
            f"not {len(arguments)} arguments and {sorted(named)}"
        )
    given.update(zip(names, arguments, strict=False))
    for name in ("network_file", "phase"):
        if name not in given:
            raise TypeError(f"Net needs {name}")
    if former:
        warnings.warn(
            f"Net(file, weights, phase) is of former times; write caffe.Net({arguments[0]!r}, "
            f"{given['phase']}, weights={arguments[1]!r})",
            DeprecationWarning, stacklevel=3,
        )  # fmt: skip
    phase, level = (_whole(name, given.get(name, 0)) for name in ("phase", "level"))
    if phase not in (TRAIN, TEST):
        raise CaffeError(f"phase is caffe.TRAIN (0) or caffe.TEST (1), not {phase}")
    return NetArguments(
        given["network_file"], phase, level, tuple(given.get("stages") or ()), given.get("weights")
    )


def _whole(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"Net's {name} is a whole number, not {value!r}") from None
