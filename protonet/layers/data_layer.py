"""What the layers have in common that bring data into a net."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from protonet import kernels
from protonet.blob import Blob
from protonet.data.errors import DataError
from protonet.prototxt.diagnostics import Error

from .base import Exactly, Layer, LayerError, Shape, SourceMissing

if TYPE_CHECKING:
    from protonet.data.arrays import Batch
    from protonet.data.prefetch import BatchMaker, OnDemand, Prefetcher
    from protonet.data.transformer import Transformer
    from protonet.ir.protonet_pb2 import LayerParameter

__all__ = [
    "DataLayer",
    "PrefetchedLayer",
    "about",
    "batch_size",
    "refuse_long_skip",
    "refuse_moving",
    "without_effect",
]

# Of old, images were transformed by the data source's own parameters.
_MOVED = ("scale", "mean_file", "crop_size", "mirror")
_FORK_TRANSFORMS = (
    "crop_h", "crop_w", "old_resize_param", "noise_param", "emit_constraint",
    "scale_factors",
)  # fmt: skip


@contextmanager
def about(*field: str | int) -> Iterator[None]:
    """Turns what is wrong with data into a LayerError, at `field` if it names no field itself."""
    try:
        yield
    except DataError as error:
        kind = SourceMissing if error.missing else LayerError
        raise kind(
            error.message, field=error.field or field, help=error.help, code=error.code
        ) from None
    except Error as error:
        first = error.diagnostics[0]
        place = f"{first.spans[0].file}: " if first.spans else ""
        raise LayerError(
            place + first.message, field=field, help=first.help, code=first.code
        ) from None


def batch_size(settings: object, group: str) -> int:
    """Returns the batch_size of a layer's settings; LayerError if it is missing or 0."""
    size = int(settings.batch_size)  # type: ignore[attr-defined]
    if size < 1:
        raise LayerError(
            "batch_size must be at least 1", field=(group, "batch_size"),
            help="say how many records make a batch",
        )  # fmt: skip
    return size


def refuse_long_skip(skip: int, count: int, group: str) -> None:
    """Raises LayerError if rand_skip may lead beyond the end of a list."""
    if skip > count:
        raise LayerError(
            f"rand_skip {skip} is more than the list's {count} images", field=(group, "rand_skip")
        )


def refuse_moving(transformer: Transformer) -> None:
    """Raises DataError if images are resized or rotated at random, their labels with them not."""
    if transformer.moves_pixels:
        raise DataError("labels would not follow images of random sizes or rotations", code="E201")


def without_effect(param: LayerParameter, group: str) -> list[LayerError]:
    """Returns warnings of settings for images that stand where they do nothing."""
    settings = getattr(param, group)
    given = {field.name for field, _ in param.transform_param.ListFields()}
    moved = [
        LayerError(
            f"{group}'s {name} has no effect (Caffe ignores it too)",
            field=(group, name),
            code="W210",
            help=f"write it into transform_param {{ {name}: … }}",
        )
        for name in _MOVED
        if settings.HasField(name)
    ]
    return moved + [
        LayerError(
            f"transform_param's {name}, of a Caffe fork, has no effect",
            field=("transform_param", name),
            code="W211",
        )
        for name in _FORK_TRANSFORMS
        if name in given
    ]


_MOST_AHEAD = 32  # batches made ahead unasked
_BYTES_AHEAD = 8 << 20


class DataLayer(Layer):
    """A layer without bottoms whose tops come from outside the net.

    Where it is in its data is a position, counted from the start of training; what is random
    depends on it and on a key, drawn once.
    """

    bottoms = Exactly(0)
    is_data = True
    dynamic = True

    def __init__(self, param: object, phase: int = 1) -> None:
        self.position = 0
        self._key: int | None = None
        super().__init__(param, phase)  # type: ignore[arg-type]

    @property
    def key(self) -> int:
        if self._key is None:
            self._key = int(self.random.integers(2**63))
        return self._key

    def reseed(self, random: np.random.Generator) -> None:
        """Keeps its own stream: the order of the data is fixed when the net is made (Caffe)."""

    def state(self) -> dict[str, int | bytes]:
        return {"position": self.position, "key": self.key}

    def restore(self, state: Mapping[str, int | bytes]) -> None:
        position, key = state.get("position"), state.get("key")
        if not isinstance(position, int) or not isinstance(key, int) or min(position, key) < 0:
            raise LayerError("the saved state is not that of a data layer", code="E451")
        self.close()
        self.position, self._key = position, key

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        """There is nothing below."""


class PrefetchedLayer(DataLayer):
    """A data layer whose batches are made ahead by worker threads, from the first forward on."""

    workers = 0  # how many threads make batches; 0: as many as run kernels
    depth = 4  # how many batches may be ahead, at least
    in_threads = True  # False: batches are made when they are asked for
    source_field: tuple[str | int, ...] = ()

    def __init__(self, param: object, phase: int = 1) -> None:
        self._shapes: list[Shape] | None = None
        self._batches: Prefetcher[Batch] | OnDemand[Batch] | None = None
        super().__init__(param, phase)

    def first_shapes(self) -> list[Shape]:
        """Returns the tops' shapes by the first record, keeping nothing open. DataError."""
        raise NotImplementedError

    def maker(self, dtype: np.dtype) -> Callable[[], BatchMaker[Batch]]:
        """Returns a function without reference to this layer that a worker calls once."""
        raise NotImplementedError

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if self._shapes is None:
            with about(*self.source_field):
                self._shapes = self.first_shapes()
        return self._shapes

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        from protonet.data.prefetch import OnDemand, Prefetcher

        if self._batches is None:
            maker = self.maker(top[0].dtype)
            workers = self.workers or kernels.threads()
            self._batches = (
                Prefetcher(maker, self._ahead(top), workers) if self.in_threads else OnDemand(maker)
            )
        with about(*self.source_field):
            batch = self._batches.next()
        for blob, values in zip(top, batch, strict=False):
            if blob.shape != values.shape:
                blob.reshape(*values.shape)
            np.copyto(blob.data, values)
        self.position += len(batch[0])
        self._batches.recycle(batch)

    def _ahead(self, top: list[Blob]) -> int:
        """Returns how many batches may be ahead: more, while they are small, than was asked for. A
        worker that wakes for one small batch finds the caches full of the solver's data."""
        size = sum(blob.data.nbytes for blob in top)
        return max(self.depth, min(_MOST_AHEAD, _BYTES_AHEAD // max(1, size)))

    def close(self) -> None:
        if self._batches is not None:
            self._batches.close()
            self._batches = None
