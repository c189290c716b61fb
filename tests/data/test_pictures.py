"""Image files of every kind become the bytes that OpenCV gives; recorded with OpenCV 4.14."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest

from protonet.data.pictures import decode

COLORS = [(0, 0, 0), (255, 255, 255), (10, 100, 200), (1, 2, 3), (254, 17, 99)]  # R, G, B
GRAYS = {"PNG": [0, 255, 84, 1, 97], "BMP": [0, 255, 84, 2, 97]}  # rounded down; rounded


def content(image: PIL.Image.Image, kind: str = "PNG", **options: object) -> bytes:
    with io.BytesIO() as file:
        image.save(file, kind, **options)
        return file.getvalue()


def row(pixels: object, dtype: str = "uint8") -> PIL.Image.Image:
    return PIL.Image.fromarray(np.array(pixels, dtype)[None])


@pytest.mark.parametrize("kind", GRAYS)
def test_colours_and_what_is_grey_of_them(kind: str) -> None:
    file = content(row(COLORS), kind)
    for mode in ("", "color"):
        assert decode(file, mode)[:, 0].T.tolist() == [list(color[::-1]) for color in COLORS]
    assert decode(file, "gray")[:, 0].tolist() == [GRAYS[kind]]


def test_palettes() -> None:
    image = PIL.Image.new("P", (len(COLORS), 1))
    image.putpalette([value for color in COLORS for value in color])
    image.putdata(range(len(COLORS)))
    assert decode(content(image))[:, 0].T.tolist() == [list(color[::-1]) for color in COLORS]
    assert decode(content(image), "gray")[:, 0].tolist() == [GRAYS["PNG"]]


def test_alpha_is_a_fourth_channel_unless_colours_or_greys_are_asked_for() -> None:
    file = content(row([(*color, 9) for color in COLORS]))
    assert decode(file)[:, 0].T.tolist() == [[*color[::-1], 9] for color in COLORS]
    assert decode(file, "color")[:, 0].T.tolist() == [list(color[::-1]) for color in COLORS]
    assert decode(file, "gray")[:, 0].tolist() == [GRAYS["PNG"]]


@pytest.mark.parametrize("mode", ["", "gray"])
def test_greys_of_16_bits_lose_the_lower_8_and_of_one_are_black_or_white(mode: str) -> None:
    deep = content(row([0, 255, 256, 65535, 12345], "uint16"))
    assert decode(deep, mode)[:, 0].tolist() == [[0, 0, 1, 255, 48]]
    assert decode(content(row([0, 1, 1], "bool")), mode)[:, 0].tolist() == [[0, 255, 255]]
    assert decode(deep, "color")[:, 0].tolist() == [[0, 0, 1, 255, 48]] * 3


@pytest.mark.parametrize(
    ("inks", "color", "gray"),
    [
        ((10, 100, 200, 50), [45, 125, 197], 137),
        ((0, 0, 0, 0), [255, 255, 255], 255),
        ((255, 128, 0, 0), [255, 128, 1], 105),
        ((33, 44, 55, 200), [44, 46, 48], 46),
    ],
)
def test_jpeg_files_for_printers(inks: tuple[int, ...], color: list[int], gray: int) -> None:
    file = content(PIL.Image.new("CMYK", (8, 8), inks), "JPEG", quality=100)
    for mode in ("", "color"):
        assert decode(file, mode)[:, 3, 5].tolist() == color
    assert decode(file, "gray")[:, 3, 5].tolist() == [gray]
