"""Turning image files into a database: those of a list, or of a folder for each class."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from functools import partial

from protonet import kernels

from .chance import permutation
from .convert import Converted, Progress, no_progress
from .datum import datum_bytes, encoded_datum_bytes
from .errors import DataError
from .image_folder import ImageFolder
from .image_list import ImageList, read_file
from .lmdb_writer import write_lmdb
from .pictures import decode, encode
from .prefetch import Prefetcher
from .resize import resized

__all__ = ["ImageOptions", "images_to_lmdb"]

_IMAGES_AT_A_TIME = 64
_LABELS = range(-(2**31), 2**31)
_ENDINGS = {"jpg": (".jpg", ".jpeg", ".jpe"), "png": (".png",)}

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class ImageOptions:
    """What becomes of the images; nothing but decoding unless it is said."""

    height: int = 0  # resized to height × width unless 0
    width: int = 0
    gray: bool = False
    encode: str = ""  # kept as image files, "jpg" or "png"; "": as raw bytes
    shuffle: bool = False
    seed: int = 0  # of the shuffling
    check_size: bool = False  # all must have the size of the first
    skip_bad_records: bool = False  # leave out what cannot be read, instead of an error


def images_to_lmdb(
    images: ImageList | ImageFolder,
    path: str,
    options: ImageOptions | None = None,
    *,
    replace: bool = False,
    progress: Progress = no_progress,
) -> Converted:
    """Makes a database of image files in the order of their list, unless shuffled.

    The keys are as convert_imageset makes them: number in the order, `_`, path. An interrupted
    conversion goes on where it was when it is started again with the same list and options.
    Raises DataError: E450 an image is not there, E453 it cannot be decoded, E454 it has another
    size, E455 the database cannot be written.
    """
    options = options or ImageOptions()
    order = range(len(images))
    if options.shuffle:
        order = permutation(len(images), options.seed).tolist()
    root = getattr(images, "root", images.path)
    plan = {"images": images.digest(), "root": os.path.abspath(root), **asdict(options)}
    made = Converted(path)
    with write_lmdb(path, replace, plan) as database:
        start = int(database.last_key.partition("_")[0]) + 1 if database.last_key else 0
        made.continued = database.continued
        chunks = range(start, len(order), _IMAGES_AT_A_TIME)
        worker = partial(_Chunks, images, order, start, options)
        records = Prefetcher(worker, depth=8, workers=kernels.threads())
        expected = _first_shape(images, order, options) if start and options.check_size else None
        try:
            for number, record in progress(
                (pair for _ in chunks for pair in records.next()), len(order) - start
            ):
                if isinstance(record, DataError):
                    if not options.skip_bad_records:
                        raise record
                    made.skipped.append(record)
                    continue
                expected = expected or record.shape
                if options.check_size and record.shape != expected:
                    raise _other_size(images, order[number], record.shape, expected)
                made.add(record.shape, record.label)
                database.put(f"{number:08d}_{images.name(order[number])}", record.content)
        finally:
            records.close()
        made.count = database.count
        if not made.count:
            raise DataError(f"{images.path}: no image can be read", code="E452")
    return made


@dataclass(frozen=True, slots=True)
class _Record:
    content: bytes
    shape: Shape
    label: int


class _Chunks:
    """Makes the records of images start + 64 i, … of the order, or what is wrong with them."""

    def __init__(
        self,
        images: ImageList | ImageFolder,
        order: range | list[int],
        start: int,
        options: ImageOptions,
    ) -> None:
        self._images, self._order, self._start, self._options = images, order, start, options

    def make(self, number: int, spare: object) -> list[tuple[int, _Record | DataError]]:
        first = self._start + number * _IMAGES_AT_A_TIME
        numbers = range(first, min(first + _IMAGES_AT_A_TIME, len(self._order)))
        return [(n, _record(self._images, self._order[n], self._options)) for n in numbers]

    def close(self) -> None:
        """Each file was closed when it was read."""


def _record(
    images: ImageList | ImageFolder, index: int, options: ImageOptions
) -> _Record | DataError:
    try:
        path, label = images.entry(index)
    except DataError as error:  # it says where
        return error
    try:
        if label not in _LABELS:
            raise DataError(f"label {label} does not fit into 32 bits", code="E453").about(path)
        content = read_file(path)
        try:
            image = decode(content, "gray" if options.gray else "color")
        except DataError as error:
            raise error.about(path) from None
    except DataError as error:
        return error.about(images.where(index))
    height, width = options.height or image.shape[1], options.width or image.shape[2]
    resizes = image.shape[1:] != (height, width)
    image = resized(image, height, width)
    if not options.encode:
        return _Record(datum_bytes(image, label), image.shape, label)
    if resizes or options.gray or not path.lower().endswith(_ENDINGS[options.encode]):
        content = encode(image, options.encode)
    return _Record(encoded_datum_bytes(content, image.shape, label), image.shape, label)


def _first_shape(
    images: ImageList | ImageFolder, order: range | list[int], options: ImageOptions
) -> Shape | None:
    """Returns the shape of the first image that can be read."""
    for index in order:
        record = _record(images, index, options)
        if isinstance(record, _Record):
            return record.shape
    return None


def _other_size(
    images: ImageList | ImageFolder, index: int, shape: Shape, expected: Shape
) -> DataError:
    found, first = ("×".join(map(str, each)) for each in (shape, expected))
    return DataError(
        f"{images.where(index)}: {images.entry(index)[0]}: the image is {found}, "
        f"but the first is {first}",
        code="E454",
        help="bring all to one size with --resize",
    )
