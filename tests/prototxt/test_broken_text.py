"""Broken input gives diagnostics or loads: no traceback, no crash, no long wait."""

import random
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from short_work import ends_within

from protonet.ir import protonet_pb2 as pb
from protonet.prototxt import Severity, as_json, format_text, parse_text_diagnosed, render
from protonet.prototxt.encoding import decoded

NETS = [path.read_bytes() for path in sorted((Path(__file__).parent / "nets").glob("*.prototxt"))]
LONGEST_S = 2.0


def survive(text: str) -> None:
    """Read, render and look up spans of any text; agree with protobuf whether it is right."""
    found: list[Any] = []

    def read() -> None:
        found[:] = _, source, diagnostics = parse_text_diagnosed(
            text, pb.NetParameter, "net.prototxt"
        )
        render(diagnostics, {"net.prototxt": text}).encode()
        as_json(diagnostics)
        source.span(("layer", 0, "name"))

    assert ends_within(LONGEST_S, read)
    net, _, diagnostics = found
    assert all(diagnostic.spans for diagnostic in diagnostics)
    if len(format_text(net)) < 100_000 and not any(
        d.severity is Severity.ERROR for d in diagnostics
    ):
        again, _, nothing = parse_text_diagnosed(format_text(net), pb.NetParameter)
        assert nothing == []
        assert text_format.MessageToString(again) == text_format.MessageToString(net)


PIECES = [
    b"{", b"}", b"<", b">", b"[", b"]", b":", b",", b";", b'"', b"'", b"-", b"#", b"\\", b"=",
    b" layer {", b"\0", b"\xff", b"99999999999999999999", b"-1", b"1e999", b"nan", b"$x", b"\n",
    b"name", b" : ", b'"\\x', b"\xef\xbb\xbf", b"layer: [", b"true", b"'\\u'",
]  # fmt: skip


@st.composite
def mutated(draw) -> str:
    data = bytearray(draw(st.sampled_from(NETS)))
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.integers(0, 5))
        if kind == 0:
            data[at:at] = draw(st.sampled_from(PIECES))
        elif kind == 1:
            data[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif kind == 2:
            del data[at : at + draw(st.integers(1, 60))]
        elif kind == 3:
            del data[at:]
        elif kind == 4:
            source = draw(st.integers(0, max(0, len(data) - 1)))
            data[at:at] = data[source : source + draw(st.integers(1, 200))]
        else:
            data[at : at + 1] = draw(st.sampled_from(PIECES))
    return decoded(bytes(data))


@settings(max_examples=400, deadline=None)
@given(mutated())
def test_mutated_files(text):
    survive(text)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_rows_of_odd_pieces(pieces):
    survive(decoded(b" ".join(pieces)))


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(), max_size=200))
def test_any_text(text):
    survive(text)


def test_random_bytes():
    bytes_of = random.Random(1)
    for _ in range(50):
        survive(decoded(bytes_of.randbytes(3000)))


def test_file_cut_at_every_byte():
    for end in range(0, len(NETS[0]), 7):
        survive(decoded(NETS[0][:end]))


N = 10_000
HUGE = {
    "open blocks": "layer {" * N,
    "open and closed blocks": "layer {" * N + "}" * N,
    "open angles": "layer <" * N,
    "open brackets": "layer: [{" * N,
    "unknown open blocks": "a\n{" * N,
    "closed blocks": "}" * N,
    "wrong closers": "layer <}" * N,
    "quotes": '"' * N,
    "lines of quotes": '"\n' * N,
    "string": f'name: "{"x" * 1_000_000}"',
    "escapes": f'name: "{chr(92)}x41{(chr(92) + "x41") * 200_000}"',
    "string without end": f'name: "{"x" * 1_000_000}',
    "escapes without end": 'name: "' + "\\\\" * 500_000,
    "escaped quotes without end": "name: '" + "\\'" * 500_000,
    "integer": f"input_dim: {'9' * 1_000_000}",
    "hexadecimal": f"input_dim: 0x{'f' * 1_000_000}",
    "float": f"layer {{ dropout_param {{ dropout_ratio: {'9' * 1_000_000} }} }}",
    "word": "a" * 1_000_000,
    "blanks before nothing": "name" + " " * 1_000_000,
    "words far apart": ("name" + " " * 1000) * 1000,
    "comment": "#" * 1_000_000,
    "junk": "@ " * N,
    "NUL": "\0" * 1_000_000,
    "minuses": "input_dim: " + "-" * N,
    "numbers": "1 " * N,
    "unknown fields": "".join(f"field_{i}: 1\n" for i in range(N)),
    "known fields": "input_dim: 1 " * N,
    "list": f"input_dim: [{'1,' * N}1]",
    "strings": "name: " + '"a" ' * N,
    "missing braces": 'layer { name: "x"\n' * N,
    "merge marks": "<<<<<<< a\n" * N,
}


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE)
def test_huge_input_takes_no_long(text):
    survive(text)
