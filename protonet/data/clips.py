"""Clips: frames that follow each other in a folder of images, `folder first_frame label` a line."""

from __future__ import annotations

import os

import numpy as np

from .arrays import Batch, array_in
from .errors import DataError
from .image_list import ImageBatches, ImageList, read_all, read_image
from .pictures import Image, Pictures

__all__ = ["ClipBatches", "ClipList"]


class ClipList(ImageList):
    """A list file that names a folder of frames, the number of the first and a label a line."""

    def clip(self, index: int) -> tuple[str, int, int]:
        """Returns folder, first frame and label. Raises DataError E453 for another form."""
        line = os.fsdecode(bytes(self._content[self._starts[index] : self._ends[index]])).strip()
        words = line.rsplit(None, 2)
        try:
            return self.root + words[0], int(words[1]), int(words[2])
        except (IndexError, ValueError):
            raise DataError(
                f"{self.where(index)}: no folder and two whole numbers: {line!r}",
                code="E453",
                help="write `folder first_frame label`",
            ) from None


class ClipBatches(ImageBatches):
    """Makes batches of N×3×L×H×W clips and N labels; all frames of a clip are cropped and mirrored
    alike."""

    def of_frames(self, clips: ClipList, length: int, step: int) -> ClipBatches:
        """Takes what concerns clips: `length` frames, each `step` after the one before; returns
        itself."""
        self._clips, self._length, self._step = clips, length, step
        return self

    def make(self, number: int, spare: Batch | None) -> Batch:
        first, length = self._start + number * self._size, self._length
        positions = np.arange(first, first + self._size)
        chosen = [self._image_at(int(position)) for position in positions]
        clips, labels = zip(*read_all(chosen, self._clips, self._read_clip), strict=True)
        pictures = Pictures.of([frame for clip in clips for frame in clip])
        shape = self._transformer.batch_shape(
            pictures, lambda i, error: error.about(self._clips.where(chosen[i // length]))
        )
        frames = np.empty((self._size * length, *shape), self._dtype)
        self._transformer.run(pictures, self._key, np.repeat(positions, length), frames)
        channels, *size = shape
        batch = [
            array_in(spare, 0, (self._size, channels, length, *size), self._dtype),
            array_in(spare, 1, (self._size,), self._dtype),
        ]
        batch[0][...] = frames.reshape(self._size, length, *shape).swapaxes(1, 2)
        batch[1][...] = labels
        return batch

    def _read_clip(self, index: int) -> tuple[list[Image], int]:
        folder, first, label = self._clips.clip(index)
        numbers = range(first, first + self._length * self._step, self._step)
        names = [os.path.join(folder, f"{number:06d}.jpg") for number in numbers]
        return [read_image(name, True, *self._new_size) for name in names], label
