"""Images named by a list file: `path label` a line, the label after the last space."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Protocol, TypeVar, cast

import numpy as np

from protonet.ir.files import map_file

from .arrays import Batch, array_in
from .bad_records import bad_records, stand_ins
from .chance import permutation, uniform_below
from .errors import DataError, existing_elsewhere
from .pictures import Image, Pictures, decode
from .resize import resized
from .transformer import Transformer

__all__ = ["ImageBatches", "ImageList", "read_all", "read_file", "read_image"]

T = TypeVar("T")

_SKIP = 0  # the draw that decides where to begin


class ImageList:
    """The lines of a list file, kept as they are in the file: millions of them cost little.

    `root` is put before each path. Raises DataError: E450 the file is not there, E452 it is empty.
    """

    def __init__(self, path: str, root: str = "") -> None:
        self.path, self.root = path, root
        if not os.path.exists(path):
            raise DataError(
                f"the list file {path or '(no name)'} is not there",
                code="E450",
                help=existing_elsewhere(path) or "it names an image and its label a line",
                missing=True,
            )
        self._content = map_file(path)
        text = np.frombuffer(self._content, np.uint8)
        ends = np.append(np.flatnonzero(text == ord("\n")), len(text))
        starts = np.append(0, ends[:-1] + 1)
        self._numbers = np.flatnonzero(ends - starts > 1)  # an image and a label take more than one
        self._starts, self._ends = starts[self._numbers], ends[self._numbers]
        if not len(self):
            raise DataError(f"{path}: the list is empty", code="E452")

    def __len__(self) -> int:
        return len(self._numbers)

    def name(self, index: int) -> str:
        """Returns the path of an image as it is in the list. Raises DataError E453."""
        return self._pair(index)[0]

    def entry(self, index: int) -> tuple[str, int]:
        """Returns path and label of an image. Raises DataError E453 for a line of another form."""
        name, label = self._pair(index)
        return self.root + name, label

    def _pair(self, index: int) -> tuple[str, int]:
        line = bytes(self._content[self._starts[index] : self._ends[index]])
        name, space, label = line.rstrip().rpartition(b" ")
        try:
            if not space or not name:
                raise ValueError
            return os.fsdecode(name), int(label)
        except ValueError:
            raise DataError(
                f"{self.where(index)}: no path and whole number: {os.fsdecode(line).strip()!r}",
                code="E453",
                help="write `path label`, with one space before the label",
            ) from None

    def digest(self) -> str:
        """Returns a text that is another one for another list."""
        return hashlib.sha256(self._content).hexdigest()

    def where(self, index: int) -> str:
        """Returns the list file and the line of an image, for messages."""
        return f"{self.path}:{self._numbers[index] + 1}"


class Places(Protocol):
    """What knows where images are named: a list, a folder."""

    path: str

    def where(self, index: int) -> str:
        """Returns where an image is named, for messages."""
        ...


class Images(Places, Protocol):
    """What names images and their labels."""

    def __len__(self) -> int: ...

    def entry(self, index: int) -> tuple[str, int]:
        """Returns path and label of an image."""
        ...


def read_file(path: str) -> bytes:
    """Returns what is in a file. Raises DataError E450."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(
            f"{path}: {reason}",
            code="E450",
            help=existing_elsewhere(path),
            missing=isinstance(error, FileNotFoundError),
        ) from None


def read_image(path: str, color: bool, height: int = 0, width: int = 0) -> Image:
    """Reads an image file as C×H×W uint8 (B, G, R, or grey), resized unless height is 0.

    Raises DataError: E450 it is not there, E453 it cannot be decoded.
    """
    content = read_file(path)
    try:
        image = decode(content, "color" if color else "gray")
    except DataError as error:
        raise error.about(path) from None
    return resized(image, height, width) if height else image


def read_all(chosen: list[int], images: Places, read: Callable[[int], T]) -> list[T]:
    """Returns what `read` gives for each chosen line; another one stands in for each that is bad
    and left out. Raises DataError with the place of the line."""
    found: list[T | DataError] = []
    for index in chosen:
        try:
            found.append(read(index))
        except DataError as error:
            place = images.where(index)
            told = error if error.message.startswith(place) else error.about(place)
            bad_records.leave_out(told, images.path, index)
            found.append(told)
    good = stand_ins([isinstance(each, DataError) for each in found])
    if good is None:
        raise cast(DataError, found[0])
    return [cast(T, found[index]) for index in good]


class ImageBatches:
    """Makes batches of `size` images of a list, from position `start` on.

    With `shuffle`, each epoch has its own order; with `rand_skip`, training begins at a random
    one of the first so many images.
    """

    def __init__(
        self,
        images: Images,
        color: bool,
        new_size: tuple[int, int],
        transformer: Transformer,
        size: int,
        shuffle: bool,
        rand_skip: int,
        dtype: np.dtype,
        start: int,
        key: int,
    ) -> None:
        self._images, self._color, self._new_size = images, color, new_size
        self._transformer, self._size, self._dtype = transformer, size, dtype
        self._shuffle, self._start, self._key = shuffle, start, key
        self._skip = 0
        if rand_skip:
            limits = np.array([rand_skip])
            self._skip = int(uniform_below(limits, key, np.array([0]), _SKIP)[0])
        self._epoch, self._order = -1, np.arange(0)

    def make(self, number: int, spare: Batch | None) -> Batch:
        first = self._start + number * self._size
        positions = np.arange(first, first + self._size)
        chosen = [self._image_at(int(position)) for position in positions + self._skip]
        found, labels = zip(*read_all(chosen, self._images, self._read), strict=True)
        pictures = Pictures.of(found)
        shape = self._transformer.batch_shape(
            pictures,
            lambda i, error: error.about(
                f"{self._images.where(chosen[i])}: {self._images.entry(chosen[i])[0]}"
            ),
        )
        batch = [
            array_in(spare, 0, (self._size, *shape), self._dtype),
            array_in(spare, 1, (self._size,), self._dtype),
        ]
        self._transformer.run(pictures, self._key, positions, batch[0])
        batch[1][...] = labels
        return batch

    def _read(self, index: int) -> tuple[Image, int]:
        path, label = self._images.entry(index)
        return read_image(path, self._color, *self._new_size), label

    def _image_at(self, position: int) -> int:
        epoch, offset = divmod(position, len(self._images))
        if not self._shuffle:
            return offset
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = permutation(len(self._images), self._key, epoch)
        return int(self._order[offset])

    def close(self) -> None:
        """Each file was closed when it was read."""
