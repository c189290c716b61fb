"""What every layer is: how many blobs it takes, its shape rule, forward and backward.

A layer object is made from its LayerParameter alone, without memory and without other
layers: `check` and `summary` make it to ask `infer` and `parameters`. Net gives it blobs.

    made      __init__(param, phase)        reads and judges its parameters
    asked     infer, parameters             shapes only, no allocation
    shaped    reshape(bottom, top)          after each change of shape: scratch, shared memory
    run       forward(bottom, top), backward(top, bottom)

forward and backward run when a pass is recorded; afterwards the kernels they called are
replayed without them. A layer whose Python must run on every pass is `dynamic`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from google.protobuf.message import Message

from protonet import kernels

if TYPE_CHECKING:
    from protonet.blob import Blob
    from protonet.ir.protonet_pb2 import FillerParameter, LayerParameter

__all__ = [
    "TEST",
    "TRAIN",
    "AtLeast",
    "Between",
    "Exactly",
    "Layer",
    "LayerError",
    "Parameter",
    "Shape",
    "SourceMissing",
    "canonical_axis",
    "refuse_nan",
    "shape_text",
]

TRAIN, TEST = 0, 1

Shape = tuple[int, ...]


def shape_text(shape: Sequence[int]) -> str:
    """Writes a shape as users read it: 64×1×28×28, or scalar."""
    return "×".join(map(str, shape)) if shape else "scalar"


@dataclass(frozen=True, slots=True)
class Between:
    """A number of bottoms or tops from `least` to `most` (None: no limit)."""

    least: int
    most: int | None

    def __contains__(self, count: int) -> bool:
        return self.least <= count and (self.most is None or count <= self.most)

    def __str__(self) -> str:
        if self.most is None:
            return f"at least {self.least}"
        if self.least == self.most:
            return str(self.least) if self.least else "no"
        return f"{self.least} to {self.most}"


def Exactly(count: int) -> Between:
    return Between(count, count)


def AtLeast(count: int) -> Between:
    return Between(count, None)


class LayerError(Exception):
    """A layer's parameters or its bottoms' shapes are wrong.

    `field` is the path of the offending field inside the LayerParameter, e.g.
    ("pooling_param", "kernel_size"); or `bottom` is the index of the offending bottom. Whoever
    holds the source map (check, Net) turns it into a Diagnostic at that place.
    """

    def __init__(
        self,
        message: str,
        *,
        field: tuple[str | int, ...] = (),
        bottom: int | None = None,
        label: str = "",
        help: str = "",
        code: str = "E201",
    ) -> None:
        super().__init__(message)
        self.message, self.field, self.bottom = message, field, bottom
        self.label, self.help, self.code = label, help, code


class SourceMissing(LayerError):
    """What a data layer reads is not on this machine: a net cannot run, but it can be checked."""


@dataclass(frozen=True)
class Parameter:
    """A learnable blob that a layer wants: its shape and how it starts out.

    `learnable` is False for statistics (batch-norm's mean and variance), which `summary`
    counts apart and whose lr_mult is 0 whatever `param` says.
    """

    shape: Shape
    filler: FillerParameter | None = None  # None: zeros
    field: tuple[str | int, ...] = ()  # path of the filler in the LayerParameter, for errors
    learnable: bool = True
    initial: np.ndarray | None = dataclasses.field(default=None, compare=False)  # instead of filler


class Layer:
    """Base of all layers; see the module's text for the life of one."""

    type: ClassVar[str] = ""
    bottoms: ClassVar[Between] = Exactly(1)
    tops: ClassVar[Between] = Exactly(1)
    equal_bottoms_and_tops: ClassVar[bool] = False  # as many tops as bottoms
    dynamic: ClassVar[bool] = False  # forward and backward run from Python on every pass
    in_place: ClassVar[bool] = False  # top[0] may be bottom[0]
    is_loss: ClassVar[bool] = False  # top[0] has loss weight 1 unless stated
    automatic_tops: ClassVar[int] = 0  # tops made when the text names fewer
    labels: ClassVar[tuple[int, ...]] = ()  # bottoms that never get a gradient; asking is an error
    shares_memory: ClassVar[bool] = False  # the tops' values are the bottom's memory
    constant: ClassVar[bool] = False  # tops depend on shapes and parameters alone, not on values
    is_data: ClassVar[bool] = False  # makes its tops from a source outside the net
    namesake: ClassVar[str] = ""  # about a fork's layer of this name that takes more blobs
    sets_gradients: ClassVar[bool] = False  # backward obeys `adds`

    def __init__(self, param: LayerParameter, phase: int = TEST) -> None:
        self.param = param
        self.name = param.name
        self.phase = param.phase if param.HasField("phase") else phase
        self.bottom_count = len(param.bottom)
        self.top_count = max(len(param.top), self.automatic_tops)
        self.blobs: list[Blob] = []  # the parameters, given by Net
        self.propagate_down: list[bool] = [False] * self.bottom_count
        self.param_propagate_down: list[bool] = []
        self.adds = True  # to the parameters' gradients; else backward sets them
        self.random: np.random.Generator = np.random.default_rng(0)  # Net gives its own stream
        refuse_nan(param)
        self.setup()

    def setup(self) -> None:
        """Reads the parameters and judges all that can be judged without shapes."""

    def warnings(self) -> list[LayerError]:
        """Returns what is likely a mistake, each with a W code; asked once, after setup."""
        return []

    # ---- shapes

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        """Returns the tops' shapes; raises LayerError where the bottoms' shapes cannot be."""
        raise NotImplementedError

    def parameters(self, bottom: list[Shape]) -> list[Parameter]:
        """Returns the learnable blobs for these bottoms, in Caffe's order."""
        return []

    def macs(self, bottom: list[Shape], top: list[Shape]) -> int:
        """Returns the multiply-adds of one forward pass; 0 where no products are summed."""
        return 0

    def window(
        self, rank: int
    ) -> tuple[Sequence[int], Sequence[int | Fraction], Sequence[int]] | None:
        """Returns (extent, stride, pad) per spatial axis of a bottom of `rank` axes, where
        extent = D(F−1) + 1, for the receptive field; None where an output sees one position."""
        return None

    def allow_force_backward(self, bottom: int) -> bool:
        """Says whether force_backward may ask for this bottom's gradient."""
        return bottom not in self.labels

    # ---- run

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Sizes scratch and shares memory; the tops have their inferred shapes already."""

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Sets the tops' data."""
        raise NotImplementedError

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        """Sets bottom[i].diff where propagate_down[i]; adds to blobs[i].diff, or sets it if not
        `adds`, where param_propagate_down[i]."""
        raise NotImplementedError

    def begin_gradient(self, number: int) -> None:
        """Makes blobs[number].diff ready to be added to: zero, unless backward `adds`."""
        blob = self.blobs[number]
        if not self.adds:
            kernels.fill(y=blob.diff, n=blob.count, value=0.0)

    def begin_gradients(self) -> None:
        """Makes all gradients of parameters ready to be added to."""
        for number, learns in enumerate(self.param_propagate_down):
            if learns:
                self.begin_gradient(number)

    def judge(self, bottom: list[Blob]) -> None:
        """Raises LayerError if the forward pass that just ended met values that cannot be.

        Kernels note such a value (a label of no class) in a buffer and step over it; this looks
        there once a pass, so the layer need not be dynamic.
        """

    # ---- resuming

    def state(self) -> dict[str, int | bytes]:
        """Returns what the next pass depends on besides its bottoms, its parameters and `random`
        (a position in the data, a counter, what is carried over), for an exact resume."""
        return {}

    def restore(self, state: Mapping[str, int | bytes]) -> None:
        """Takes back what `state` returned; `random` is restored afterwards. LayerError if this
        layer cannot have returned it."""

    def reseed(self, random: np.random.Generator) -> None:
        """Draws from another stream from now on."""
        self.random = random

    def close(self) -> None:
        """Lets go of files and threads."""


def refuse_nan(message: Message, place: tuple[str | int, ...] = ()) -> None:
    """Raises LayerError at the first setting of a layer that is not a number."""
    for field, value in message.ListFields():
        if field.name == "blobs":  # weights, judged as they are loaded
            continue
        for index, item in enumerate(value if field.is_repeated else [value]):
            at = (*place, field.name, index) if field.is_repeated else (*place, field.name)
            if isinstance(item, Message):
                refuse_nan(item, at)
            elif isinstance(item, float) and math.isnan(item):
                raise LayerError(f"{field.name} is not a number", field=at)


def canonical_axis(axis: int, rank: int, field: tuple[str | int, ...], extra: int = 0) -> int:
    """Returns a possibly negative axis as 0 … rank−1 (+ extra); LayerError if there is none."""
    if -rank - extra <= axis < rank + extra:
        return axis + rank + extra if axis < 0 else axis
    raise LayerError(
        f"axis {axis} is out of range for a bottom of {rank} axes",
        field=field,
        help=f"axis must be from {-rank} to {rank - 1}",
    )
