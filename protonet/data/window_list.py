"""Window files: images and the windows in them that are objects or background.

# 0                       (the number of the image)
folder/image.jpg
3                         (channels)
375                       (height)
500                       (width)
2                         (windows; one a line: class, overlap with an object, x1 y1 x2 y2)
15 0.83 10 20 110 220
15 0.07 300 20 420 80
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from .errors import DataError, existing_elsewhere

__all__ = ["WindowList"]

_HEADER = ("path", "channels", "height", "width", "windows")
_FIELDS = 6  # class, overlap, x1, y1, x2, y2
_HELP = "per image: `# number`, path, channels, height, width, number of windows, the windows"


class WindowList:
    """The images of a window file, and its windows: foreground from `fg_threshold` of overlap on,
    background below `bg_threshold`, where the class is 0.

    Raises DataError: E450 the file is not there, E453 it has another form, E452 one kind of
    window is missing.
    """

    def __init__(self, path: str, root: str, fg_threshold: float, bg_threshold: float) -> None:
        self.path = path
        if not os.path.exists(path):
            raise DataError(
                f"the window file {path or '(no name)'} is not there",
                code="E450",
                help=existing_elsewhere(path),
                missing=True,
            )
        self.images: list[str] = []
        kept: tuple[list[npt.NDArray[np.float64]], ...] = ([], [])
        for name, windows, line in self._read():
            overlap = windows[:, 1]
            is_foreground = overlap >= fg_threshold
            wrong = np.flatnonzero(is_foreground & (windows[:, 0] <= 0))
            if wrong.size:
                raise DataError(
                    f"{path}:{line + int(wrong[0])}: class {windows[wrong[0], 0]:g} for an object",
                    code="E453",
                    help="objects are of class 1 and up; class 0 is the background",
                )
            is_background = ~is_foreground & (overlap < bg_threshold)
            rows = np.column_stack(
                [np.full(len(windows), len(self.images)), windows[:, 0], windows[:, 2:]]
            )
            rows[is_background, 1] = 0
            kept[0].append(rows[is_background])
            kept[1].append(rows[is_foreground])
            self.images.append(root + name)
        if not self.images:
            raise DataError(f"{path}: the window file is empty", code="E452")
        self.background, self.foreground = (np.concatenate(rows) for rows in kept)
        """Rows of: index of the image, class, x1, y1, x2, y2."""

    def _read(self) -> Iterator[tuple[str, npt.NDArray[np.float64], int]]:
        """Gives path, windows and the line of the first window of each image."""
        with open(self.path, "rb") as file:
            lines = [line.strip() for line in file]
        at = 0
        while at < len(lines):
            if not lines[at]:
                at += 1
                continue
            if not lines[at].startswith(b"#"):
                raise self._wrong(at, "expected `# number` of the next image")
            head = lines[at + 1 : at + 1 + len(_HEADER)]
            try:
                channels, height, width, count = (int(text) for text in head[1:])
            except ValueError:
                names = ", ".join(_HEADER[1:])
                raise self._wrong(at, f"no whole numbers for {names} of this image") from None
            if channels != 3 or height < 1 or width < 1 or count < 0:
                raise self._wrong(at, f"an image of {channels}×{height}×{width}, {count} windows")
            first = at + 1 + len(_HEADER)
            yield os.fsdecode(head[0]), self._windows(lines, first, count), first + 1
            at = first + count

    def _windows(self, lines: list[bytes], first: int, count: int) -> npt.NDArray[np.float64]:
        windows = np.empty((count, _FIELDS))
        for index in range(count):
            if first + index >= len(lines):
                raise self._wrong(len(lines) - 1, f"the file ends before {count} windows")
            try:
                windows[index] = [float(word) for word in lines[first + index].split()]
            except ValueError:
                raise self._wrong(first + index, "not `class overlap x1 y1 x2 y2`") from None
        return windows

    def _wrong(self, line: int, what: str) -> DataError:
        return DataError(f"{self.path}:{line + 1}: {what}", code="E453", help=_HELP)
