"""Running a tape that was recorded for one image for each image of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from . import Tape, record
from ._native import ffi, lib

__all__ = ["Place", "run_by_image"]

Place = tuple[int, int]  # bytes from image to image and -1, or 0 and a place in a thread's memory


def run_by_image(tape: Tape, images: int, own: int, place: Callable[[int], Place | None]) -> None:
    """Runs all of a tape for one image after another, several at once on several threads, and
    records that.

    `place` says where an address of the tape lies: with its bytes from image to image, or in the
    `own` bytes that every thread has for itself; None if it is the same for all images. Raises
    ValueError if a step's arguments are too many.
    """
    sizes, pointers = [], []
    for index, (_, arguments) in enumerate(tape.steps):
        struct = ffi.typeof(arguments).item
        sizes.append(ffi.sizeof(struct))
        for at, address in _pointers(struct, arguments[0], 0):
            found = place(address)
            if found is not None:
                pointers.append((index, at, *found))
    if max(sizes, default=0) > lib.MOST_ARGUMENTS:
        raise ValueError("a step has more arguments than fit")
    kept = (
        ffi.new("step[]", tape.steps), ffi.new("int64_t[]", sizes),
        ffi.new("image_pointer[]", pointers), tape,
    )  # fmt: skip
    fields = (*kept[:3], len(sizes), len(pointers), images, own)
    record(ffi.addressof(lib, "by_image"), ffi.new("by_image_args *", fields), kept)


def _pointers(kind: Any, value: Any, offset: int) -> Iterator[tuple[int, int]]:
    """Yields the offset and the address of each pointer in a struct or array that is not NULL."""
    if kind.kind == "struct":
        for name, field in kind.fields:
            yield from _pointers(field.type, getattr(value, name), offset + field.offset)
    elif kind.kind == "array":
        for index in range(kind.length):
            at = offset + index * ffi.sizeof(kind.item)
            yield from _pointers(kind.item, value[index], at)
    elif kind.kind == "pointer" and value != ffi.NULL:
        yield offset, int(ffi.cast("uintptr_t", value))
