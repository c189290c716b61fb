"""From messages to text and back."""

import math
import struct
from pathlib import Path

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st

from protonet.ir import protonet_pb2 as pb
from protonet.prototxt import format_text, parse_text, read_text
from protonet.prototxt.schema import Kind, message_type

NETS = Path(__file__).parent / "nets"


def test_canonical_text_is_written_as_people_write_it():
    canonical = read_text(NETS / "every_spelling.canonical.prototxt")
    spelled = read_text(NETS / "every_spelling.prototxt")
    assert format_text(parse_text(spelled, pb.NetParameter)[0]) == canonical


@pytest.mark.parametrize(
    ("file", "message_type"),
    [("digits", pb.NetParameter), ("old", pb.NetParameter), ("solver", pb.SolverParameter)],
)
def test_formatting_what_was_formatted_changes_nothing(file, message_type):
    message, _ = parse_text(read_text(NETS / f"{file}.prototxt"), message_type)
    text = format_text(message)
    again, _ = parse_text(text, message_type)
    assert again == message
    assert format_text(again) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"), (0.01, "0.01"), (5e-4, "0.0005"), (1e-5, "1e-5"), (1.0, "1"), (-2.5, "-2.5"),
        (100000.0, "100000"), (1e10, "1e10"), (16777216.0, "16777216"), (1 / 3, "0.33333334"),
        (math.inf, "inf"), (-math.inf, "-inf"), (math.nan, "nan"), (-0.0, "-0"), (0.0, "0"),
        (3.4028234663852886e38, "3.4028235e38"), (1.401298464324817e-45, "1e-45"),
    ],
)  # fmt: skip
def test_float_is_the_shortest_that_reads_back(value, text):
    assert format_text(pb.FillerParameter(std=value)) == f"std: {text}\n"


def test_double_keeps_its_precision():
    assert format_text(pb.BlobProto(double_data=[0.1, 1 / 3])) == (
        "double_data: 0.1\ndouble_data: 0.3333333333333333\n"
    )


def test_strings_keep_letters_and_escape_what_is_not_printable():
    layer = pb.LayerParameter(name='é中\n"\\\x01\u2028\U0001f600')
    assert format_text(layer) == 'name: "é中\\n\\"\\\\\\001\\342\\200\\250\U0001f600"\n'
    assert format_text(pb.Datum(data=b"a\xff\n'")) == 'data: "a\\377\\n\'"\n'


def test_empty_message_is_empty_text_and_empty_block_is_kept():
    assert format_text(pb.NetParameter()) == ""
    net = pb.NetParameter()
    net.state.SetInParent()
    assert format_text(net) == "state {}\n"


@st.composite
def messages(draw, message_class, depth=0):
    message = message_class()
    kind = message_type(message.DESCRIPTOR)
    choices = list(kind.fields) if depth < 4 else list(kind.required)
    chosen = st.lists(st.sampled_from(choices), max_size=6, unique=True) if choices else st.just([])
    for name in dict.fromkeys(
        [*draw(chosen), *kind.required]
    ):  # text without a required field is refused
        field = kind.fields[name]
        for _ in range(draw(st.integers(1, 3)) if field.repeated else 1):
            if field.kind is Kind.MESSAGE:
                holder = getattr(message, name)
                child = holder.add() if field.repeated else holder
                child.CopyFrom(draw(messages(type(child), depth + 1)))
                child.SetInParent()
            elif field.repeated:
                getattr(message, name).append(draw(scalars(field.descriptor)))
            else:
                setattr(message, name, draw(scalars(field.descriptor)))
    return message


def scalars(field):
    kinds = {
        FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
        FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
        FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
        FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
        FieldDescriptor.CPPTYPE_FLOAT: st.floats(width=32),
        FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
        FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    }
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=20)
    if field.type == FieldDescriptor.TYPE_STRING:
        return st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
    return kinds[field.cpp_type]


def same(a, b):
    """Equal, a NaN to a NaN and -0 not to 0: what protobuf's own exact text shows."""
    return text_format.MessageToString(a) == text_format.MessageToString(b)


@settings(max_examples=150, deadline=None)
@given(messages(pb.NetParameter))
def test_any_net_reads_back_from_its_text(net):
    text = format_text(net)
    again, _ = parse_text(text, pb.NetParameter)
    assert format_text(again) == text
    assert same(again, net)


@settings(max_examples=60, deadline=None)
@given(messages(pb.SolverParameter))
def test_any_solver_reads_back_from_its_text(solver):
    assert same(parse_text(format_text(solver), pb.SolverParameter)[0], solver)


@settings(max_examples=100, deadline=None)
@given(messages(pb.LayerParameter))
def test_protobufs_own_parser_reads_what_is_written(layer):
    assert same(text_format.Parse(format_text(layer), pb.LayerParameter()), layer)


@settings(max_examples=300, deadline=None)
@given(st.floats(width=32, allow_nan=False))
def test_any_float_reads_back_to_the_bit(value):
    again, _ = parse_text(format_text(pb.FillerParameter(std=value)), pb.FillerParameter)
    assert struct.pack("<f", again.std) == struct.pack("<f", value)
