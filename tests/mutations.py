"""Broken nets: a good file with something in it cut off, flipped, renamed or blown up."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

__all__ = ["MUTATIONS", "mutated"]

_NAME = re.compile(r"[A-Za-z_]\w*(?=\s*[:{])")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(\.\d+)?([eE][-+]?\d+)?(?![\w.])")
_BLOB = re.compile(r'(?<=(top|tom): )"[^"]*"')
_STRING = re.compile(r'"[^"]*"')
_WORD = re.compile(r"(?<=: )[A-Za-z_]\w*")
_LAYER = re.compile(r"^layers? \{.*?^\}\n", re.MULTILINE | re.DOTALL)

NUMBERS = (
    "0", "1", "-1", "2", "3", "7", "255", "65536", "2147483647", "2147483648", "-2147483649",
    "4294967295", "4294967296", "9223372036854775807", "99999999999999999999", "1e9", "1e38",
    "1e300", "nan", "inf", "-inf", "0x7fffffff", "017", "0.5", "-0", "1.5e", "1..2",
)  # fmt: skip
FIELDS = (
    "num_output", "kernel_size", "kernel_h", "stride", "pad", "group", "dilation", "axis", "dim",
    "bottom", "top", "name", "type", "layer", "layers", "include", "exclude", "phase", "param",
    "lr_mult", "loss_weight", "propagate_down", "blobs", "convolution_param", "pooling_param",
    "inner_product_param", "data_param", "transform_param", "input", "input_dim", "input_shape",
    "batch_size", "crop_size", "weight_filler", "std", "sparse", "local_size", "top_k", "engine",
    "state", "shape", "reshape_param", "force_backward", "net", "test_iter", "x", "typ",
    "numoutput",
)  # fmt: skip
TYPES = (
    "Convolution", "Deconvolution", "Pooling", "InnerProduct", "ReLU", "LRN", "Softmax", "Dropout",
    "SoftmaxWithLoss", "EuclideanLoss", "Accuracy", "Concat", "Eltwise", "Split", "Flatten",
    "Slice", "Reshape", "Silence", "Input", "Data", "DummyData", "MemoryData", "HDF5Data",
    "BatchNorm", "Scale", "Bias", "Embed", "LSTM", "RNN", "Filter", "BatchReindex", "Im2col", "MVN",
    "Crop", "Tile", "Reduction", "ArgMax", "SPP", "PReLU", "Python", "Parameter", "TanH",
    "Nothing", "",
)  # fmt: skip
BITS = "{}<>[]:;,\"'#\\\n\t \0\ufeffé×-+.0x"


def mutated(text: str, seed: int, count: int = 1) -> str:
    """Returns the text with `count` things broken in it; the seed says which."""
    chance = random.Random(seed)
    for _ in range(count):
        text = chance.choice(MUTATIONS)(text, chance)
    return text


def _truncated(text: str, chance: random.Random) -> str:
    return text[: chance.randrange(len(text) + 1)]


def _flipped(text: str, chance: random.Random) -> str:
    data = bytearray(text.encode("utf-8", "surrogateescape"))
    for _ in range(chance.randint(1, 4) if data else 0):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return data.decode("utf-8", "surrogateescape")


def _with_bits_put_in(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(BITS) * chance.choice((1, 1, 1, 2, 300)) + text[at:]


def _without_a_stretch(text: str, chance: random.Random) -> str:
    start = chance.randrange(len(text) + 1)
    return text[:start] + text[start + chance.randint(1, 40) :]


def _replaced(pattern: re.Pattern[str], text: str, chance: random.Random, by: str) -> str:
    found = list(pattern.finditer(text))
    if not found:
        return text
    match = chance.choice(found)
    return text[: match.start()] + by + text[match.end() :]


def _number_changed(text: str, chance: random.Random) -> str:
    number = chance.choice((*NUMBERS, str(chance.randint(0, 50)), str(chance.randint(-9, 10**6))))
    return _replaced(_NUMBER, text, chance, number)


def _field_renamed(text: str, chance: random.Random) -> str:
    return _replaced(_NAME, text, chance, chance.choice(FIELDS))


def _blob_renamed(text: str, chance: random.Random) -> str:
    names = [match.group() for match in _BLOB.finditer(text)] or ['"x"']
    return _replaced(_BLOB, text, chance, chance.choice((*names, '"nowhere"', '""')))


def _type_changed(text: str, chance: random.Random) -> str:
    return _replaced(
        re.compile(r'(?<=type: )"[A-Z]\w*"'), text, chance, f'"{chance.choice(TYPES)}"'
    )


def _string_changed(text: str, chance: random.Random) -> str:
    by = chance.choice(('""', '"\\377\\0"', "5", "'", '"' + "a" * 5000 + '"', '"gaussian"', "x"))
    return _replaced(_STRING, text, chance, by)


def _word_changed(text: str, chance: random.Random) -> str:
    return _replaced(_WORD, text, chance, chance.choice(("true", "TRAIN", "AVE", "MAX", "x", "1")))


def _layers_moved(text: str, chance: random.Random) -> str:
    """Doubles, drops or swaps layers."""
    found = list(_LAYER.finditer(text))
    if len(found) < 2:
        return text
    one, other = sorted(chance.sample(found, 2), key=lambda match: match.start())
    between = text[one.end() : other.start()]
    kept = chance.choice(
        (
            (one.group(), between, one.group()),
            (one.group(), between, ""),
            ("", between, other.group()),
            (other.group(), between, one.group()),
            (one.group() + one.group(), between, other.group()),
        )
    )
    return text[: one.start()] + "".join(kept) + text[other.end() :]


def _line_doubled(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    at = chance.randrange(len(lines))
    return "\n".join([*lines[:at], lines[at], *lines[at:]])


def _lines_swapped(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return "\n".join(lines)


MUTATIONS: tuple[Callable[[str, random.Random], str], ...] = (
    _truncated, _flipped, _with_bits_put_in, _without_a_stretch, _number_changed, _number_changed,
    _field_renamed, _blob_renamed, _type_changed, _string_changed, _word_changed, _layers_moved,
    _line_doubled, _lines_swapped,
)  # fmt: skip
