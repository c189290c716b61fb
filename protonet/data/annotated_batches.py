"""Batches of a database of AnnotatedDatum records: images with their true boxes."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from protonet.ir.protonet_pb2 import (
    AnnotatedDatum,
    BatchSampler,
    EmitConstraint,
    OldResizeParameter,
    TransformationParameter,
)

from .arrays import Batch, array_in
from .augment import COLOUR_DRAWS, distorted
from .bad_records import bad_records, stand_ins
from .box_sampling import sampled_part
from .databases import open_database
from .errors import DataError
from .mean import read_mean
from .pictures import Image, Pictures, decode
from .records import Record
from .resize import resized
from .transformer import Transformer
from .true_boxes import Boxes, Rectangle, boxes_of, emitted, mirrored

__all__ = ["AnnotatedBatches", "annotated_image_shape", "plain_transform", "resizes"]

_ROW = 8  # image, class, instance, xmin, ymin, xmax, ymax, difficult
_PILLOW_FILTERS: dict[int, str] = {
    OldResizeParameter.AREA: "BOX",
    OldResizeParameter.NEAREST: "NEAREST",
    OldResizeParameter.CUBIC: "BICUBIC",
    OldResizeParameter.LANCZOS4: "LANCZOS",
}


def plain_transform(param: TransformationParameter) -> TransformationParameter:
    """Returns the crop, mirror, mean and scale of transform_param: what is done last."""
    return TransformationParameter(
        crop_size=param.crop_size, mirror=param.mirror, scale=param.scale,
        mean_file=param.mean_file or None, mean_value=param.mean_value,
        force_color=param.force_color, force_gray=param.force_gray,
    )  # fmt: skip


def resizes(param: TransformationParameter) -> list[OldResizeParameter]:
    """Returns the ways of resizing, one of which is drawn for each image."""
    found = [*param.resize_param]
    if param.HasField("old_resize_param"):
        found.append(param.old_resize_param)
    return found


def annotated_image_shape(
    path: str, leveldb: bool, param: TransformationParameter
) -> tuple[int, int, int]:
    """Returns C×H×W of the first record's image; the database is closed again."""
    with open_database(path, leveldb) as source:
        reader = source.reader()
        try:
            image, _ = _decoded(reader.read(0, 1)[0], Transformer(plain_transform(param), False))
            return image.shape
        finally:
            reader.close()


class AnnotatedBatches:
    """Makes batches of `size` records from position `start` on: N×C×H×W images, 1×1×R×8 boxes.

    In this order: colours, a larger canvas, a part drawn by the samplers, another size, crop,
    mirror, mean and scale; each takes the boxes with it.
    """

    def __init__(
        self,
        path: str,
        leveldb: bool,
        param: TransformationParameter,
        samplers: list[BatchSampler],
        train: bool,
        size: int,
        dtype: np.dtype,
        start: int,
        key: int,
    ) -> None:
        self._param, self._samplers, self._size, self._dtype = param, samplers, size, dtype
        self._start, self._key = start, key
        self._resizes = resizes(param)
        self._constraint: EmitConstraint | None = (
            param.emit_constraint if param.HasField("emit_constraint") else None
        )
        self._transformer = Transformer(plain_transform(param), train)
        self._source = open_database(path, leveldb)
        self._reader = self._source.reader()

    def make(self, number: int, spare: Batch | None) -> Batch:
        first = self._start + number * self._size
        records = self._reader.read(first, self._size)
        found: list[tuple[Image, Boxes] | DataError] = []
        for index, record in enumerate(records):
            random = np.random.default_rng([self._key, first + index])
            try:
                found.append(self._changed(*_decoded(record, self._transformer), random))
            except DataError as error:
                told = self._of_record(first, index, error)
                number = (first + index) % self._source.count
                bad_records.leave_out(told, self._source.path, number)
                found.append(told)
        good = stand_ins([isinstance(each, DataError) for each in found])
        pairs = [each for each in (found[i] for i in good or []) if not isinstance(each, DataError)]
        if not pairs:
            raise next(each for each in found if isinstance(each, DataError))
        pictures = Pictures.of([image for image, _ in pairs])
        shape = self._transformer.batch_shape(pictures, partial(self._of_record, first))
        images = array_in(spare, 0, (self._size, *shape), self._dtype)
        positions = np.arange(first, first + self._size)
        self._transformer.run(pictures, self._key, positions, images)
        boxes = [self._cropped(index, b, pictures, shape) for index, (_, b) in enumerate(pairs)]
        return [images, self._rows(boxes, spare)]

    def _changed(
        self, image: Image, boxes: Boxes, random: np.random.Generator
    ) -> tuple[Image, Boxes]:
        if self._param.HasField("distort_param") and image.dtype == np.uint8:
            image = distorted(image, self._param.distort_param, random.random(COLOUR_DRAWS))
        if self._param.HasField("expand_param"):
            image, boxes = self._expanded(image, boxes, random)
        if self._samplers:
            part = sampled_part(boxes, self._samplers, random)
            if part is not None:
                image, boxes = _part(image, part), emitted(boxes, part, self._constraint)
        if self._resizes:
            image, boxes = self._resized(image, boxes, random)
        return image, boxes

    def _expanded(
        self, image: Image, boxes: Boxes, random: np.random.Generator
    ) -> tuple[Image, Boxes]:
        """Returns the image somewhere on a larger canvas of the mean's colour."""
        settings = self._param.expand_param
        if random.random() > settings.prob or abs(settings.max_expand_ratio - 1) < 1e-2:
            return image, boxes
        ratio = random.uniform(1, settings.max_expand_ratio)
        channels, height, width = image.shape
        new_height, new_width = int(height * ratio), int(width * ratio)
        top = int(random.uniform(0, new_height - height))
        left = int(random.uniform(0, new_width - width))
        canvas = np.empty((channels, new_height, new_width), image.dtype)
        canvas[...] = self._mean_colour(channels)
        canvas[:, top : top + height, left : left + width] = image
        part = (
            -left / width, -top / height, (new_width - left) / width, (new_height - top) / height,
        )  # fmt: skip
        return canvas, emitted(boxes, part, self._constraint)

    def _mean_colour(self, channels: int) -> npt.NDArray[np.float32]:
        values = np.array(self._param.mean_value or [0.0], np.float32)
        if self._param.mean_file:
            values = read_mean(self._param.mean_file).mean(axis=(1, 2)).astype(np.float32)
        return np.broadcast_to(np.rint(values).reshape(-1, 1, 1), (channels, 1, 1))

    def _resized(
        self, image: Image, boxes: Boxes, random: np.random.Generator
    ) -> tuple[Image, Boxes]:
        chances = np.array([max(each.prob, 1e-12) for each in self._resizes])
        settings = self._resizes[random.choice(len(self._resizes), p=chances / chances.sum())]
        height, width = int(settings.height), int(settings.width)
        modes = list(settings.interp_mode)
        mode = modes[int(random.integers(len(modes)))] if modes else OldResizeParameter.LINEAR
        if settings.resize_mode != OldResizeParameter.FIT_LARGE_SIZE_AND_PAD:
            return _interpolated(image, height, width, mode), boxes
        scale = min(height / image.shape[1], width / image.shape[2])
        inner_height = min(height, max(1, int(image.shape[1] * scale)))
        inner_width = min(width, max(1, int(image.shape[2] * scale)))
        top, left = (height - inner_height) // 2, (width - inner_width) // 2
        canvas = np.zeros((len(image), height, width), image.dtype)
        canvas[...] = np.array(settings.pad_value or [0.0], np.float32).reshape(-1, 1, 1)
        inner = _interpolated(image, inner_height, inner_width, mode)
        canvas[:, top : top + inner_height, left : left + inner_width] = inner
        part = (
            -left / inner_width, -top / inner_height,
            (width - left) / inner_width, (height - top) / inner_height,
        )  # fmt: skip
        return canvas, emitted(boxes, part, None)

    def _cropped(
        self, index: int, boxes: Boxes, pictures: Pictures, shape: tuple[int, int, int]
    ) -> Boxes:
        """Returns the boxes after the crop and mirroring that the transformer has drawn."""
        place, height, width = (
            pictures.places[index], int(pictures.heights[index]), int(pictures.widths[index]),
        )  # fmt: skip
        part: Rectangle = (
            place["left"] / width, place["top"] / height,
            (place["left"] + shape[2]) / width, (place["top"] + shape[1]) / height,
        )  # fmt: skip
        boxes = emitted(boxes, part, self._constraint)
        return mirrored(boxes) if place["mirror"] else boxes

    def _rows(self, boxes: list[Boxes], spare: Batch | None) -> npt.NDArray[np.floating]:
        """Returns 1×1×R×8; one row of −1 if there is no box."""
        count = sum(map(len, boxes))
        rows = array_in(spare, 1, (1, 1, max(1, count), _ROW), self._dtype)
        rows[...] = -1
        at = 0
        for index, each in enumerate(boxes):
            rows[0, 0, at : at + len(each), 0] = index
            rows[0, 0, at : at + len(each), 1:] = each
            at += len(each)
        return rows

    def _of_record(self, first: int, index: int, error: DataError) -> DataError:
        number = (first + index) % self._source.count
        return error.about(
            f'{self._source.path}: record {number} (key "{self._reader.key(number)}")'
        )

    def close(self) -> None:
        self._reader.close()
        self._source.close()


def _decoded(record: Record, transformer: Transformer) -> tuple[Image, Boxes]:
    try:
        annotated = AnnotatedDatum.FromString(bytes(record))
    except DecodeError:
        annotated = AnnotatedDatum()
    datum = annotated.datum
    shape = (datum.channels, datum.height, datum.width)
    if datum.encoded:
        return decode(datum.data, transformer.decode_mode), boxes_of(annotated)
    if min(shape) < 1 or len(datum.data) != datum.channels * datum.height * datum.width:
        raise DataError(
            f"this is no AnnotatedDatum: {len(datum.data)} bytes for an image of "
            f"{'×'.join(map(str, shape))}",
            code="E453",
            help="a database of Datum records is for a Data layer",
        )
    return np.frombuffer(datum.data, np.uint8).reshape(shape), boxes_of(annotated)


def _part(image: Image, part: Rectangle) -> Image:
    """Returns a part of an image, at least a pixel."""
    height, width = image.shape[1:]
    left, top, right, bottom = (min(max(edge, 0.0), 1.0) for edge in part)
    x, y = min(int(left * width), width - 1), min(int(top * height), height - 1)
    across = max(1, int(right * width - left * width))
    down = max(1, int(bottom * height - top * height))
    return image[:, y : y + down, x : x + across]


def _interpolated(image: Image, height: int, width: int, mode: int) -> Image:
    """Returns the image in another size: linear as OpenCV does it, other ways as Pillow does."""
    if mode not in _PILLOW_FILTERS:
        return resized(image, height, width)
    from PIL import Image as pillow

    out = np.empty((len(image), height, width), np.uint8)
    kind = pillow.Resampling[_PILLOW_FILTERS[mode]]
    for plane, made in zip(image, out, strict=True):
        whole = pillow.fromarray(np.ascontiguousarray(plane))
        made[...] = np.asarray(whole.resize((width, height), kind))
    return out
