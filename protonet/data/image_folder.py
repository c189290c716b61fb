"""Images in folders, one folder for each class: the class numbers follow the folders' names."""

from __future__ import annotations

import hashlib
import os

from protonet.ir.files import atomic_write

from .errors import DataError, existing_elsewhere

__all__ = ["ImageFolder", "write_class_names"]

_ENDINGS = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".png",
    ".bmp",
    ".gif",
    ".ppm",
    ".pgm",
    ".tif",
    ".tiff",
    ".webp",
)


class ImageFolder:
    """The image files below each folder in `path`, in the order of their names.

    `classes` are the folders' names, class 0 first. Raises DataError: E450 there is no such
    folder or it cannot be read, E452 there are no images in it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        if not os.path.isdir(path):
            what = "is a file, not a folder" if os.path.exists(path) else "is not there"
            raise DataError(
                f"the folder {path or '(no name)'} {what}",
                code="E450",
                help=existing_elsewhere(path) or "it has a folder of images for each class",
                missing=not os.path.exists(path),
            )
        self.classes: list[str] = []
        self._entries: list[tuple[str, int]] = []
        for name in sorted(_folders(path)):
            files = sorted(_images(os.path.join(path, name)))
            self._entries += [(os.path.join(name, file), len(self.classes)) for file in files]
            self.classes.append(name)
        if not self._entries:
            raise DataError(
                f"{path}: there are no images in folders of it",
                code="E452",
                help="images belong into a folder for each class: "
                f"{os.path.join(path, 'cat', '1.jpg')}",
            )

    def __len__(self) -> int:
        return len(self._entries)

    def name(self, index: int) -> str:
        """Returns the path of an image within the folder."""
        return self._entries[index][0]

    def entry(self, index: int) -> tuple[str, int]:
        """Returns path and label of an image."""
        name, label = self._entries[index]
        return os.path.join(self.path, name), label

    def digest(self) -> str:
        """Returns a text that is another one for other files."""
        return hashlib.sha256(os.fsencode("\0".join(n for n, _ in self._entries))).hexdigest()

    def where(self, index: int) -> str:
        """Returns what is known of an image beside its path, for messages."""
        return f"{self.path}: class {self._entries[index][1]}"


def write_class_names(path: str, classes: list[str]) -> None:
    """Writes the classes' names, one a line, class 0 first."""
    with atomic_write(path) as file:
        file.write(b"".join(os.fsencode(name) + b"\n" for name in classes))


def _folders(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [e.name for e in entries if e.is_dir() and not e.name.startswith(".")]
    except OSError as error:
        raise _unreadable(error, path) from None


def _images(path: str) -> list[str]:
    """Returns the image files in a folder and below it, relative to it."""
    found = []

    def refuse(error: OSError) -> None:
        raise _unreadable(error, path) from None

    for folder, below, files in os.walk(path, onerror=refuse, followlinks=True):
        below[:] = [name for name in below if not name.startswith(".")]
        inner = os.path.relpath(folder, path)
        for name in files:
            if name.lower().endswith(_ENDINGS) and not name.startswith("."):
                found.append(name if inner == "." else os.path.join(inner, name))
    return found


def _unreadable(error: OSError, path: str) -> DataError:
    reason = (error.strerror or str(error)).lower()
    return DataError(f"the folder {error.filename or path}: {reason}", code="E450")
