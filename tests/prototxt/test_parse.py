"""What is read, and that it is what protobuf's own parser reads."""

import warnings
from pathlib import Path

import pytest
from google.protobuf import text_format
from google.protobuf.message import Message

from protonet.ir import protonet_pb2 as pb
from protonet.prototxt import Error, Severity, parse_text, parse_text_diagnosed, read_text

NETS = Path(__file__).parent / "nets"


def ours(text: str, message_type: type[Message]) -> bytes | None:
    try:
        return parse_text(text, message_type)[0].SerializePartialToString(deterministic=True)
    except Error:
        return None


def googles(text: str, message_type: type[Message]) -> bytes | None:
    with warnings.catch_warnings():
        # Python's own codec, which protobuf uses, warns of odd escapes.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            message = text_format.Parse(text, message_type())
        except text_format.ParseError:
            return None
    return message.SerializePartialToString(deterministic=True)


FLOATS = [
    "1.f", "inf", "-inf", "nan", "-nan", ".5", "5.", "-.5", "1e-3", "1E+3", "1e400", "1e39",
    "-1e39", "3.4e38", "1.0f", "1F", "infinity", "-infinity", "Infinity", "INF", "inff", "nanf",
    "NaN", "0x10", "010", "00.5", "01", "0", "-0", "-0.0", "+1", "+.5", "1_0", "1.5.2", "--1",
    "-+1", "1e", "e1", ".", ".e1", "1f.", "1ff", '"1"', "true", "{}", "[1]", "[]", "[1,.5]",
    "1e-50", "-", "0f", "09", "0.", "5,", "5;", "5;;", "5,,", "5,;", "+inf", "infinityf",
    "-nanf", "1d", "0x1f", "16777217", "0.1", "-1.5e-3F",
]  # fmt: skip
INTEGERS = [
    "0", "1", "-1", "+1", "010", "-010", "08", "0x1F", "-0x1f", "0XfF", "0b1", "0o17",
    "2147483647", "2147483648", "-2147483648", "-2147483649", "4294967295", "4294967296",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808",
    "-9223372036854775809", "18446744073709551615", "18446744073709551616", "1.0", "1e3",
    "1_000", "_1", "1_", "0_1", "00", "-0", '"1"', "a", "true", "0x", "0xg", "1a", "1-2",
    "[1,2]", "[1,2,]", "[,]", "[]", "[1;2]", "[[1]]", "[1,{}]", "-", "0x_f", "1;", "{", "}",
    "<", ">", "[-1]", "--1", "9" * 600, "[1 2]", "1 2", "[ 1 , 2 ]", "1,", "1,,",
]  # fmt: skip
BOOLEANS = [
    "true", "false", "True", "False", "t", "f", "1", "0", "TRUE", "yes", "T", "F", "01",
    '"true"', "0x1", "-1", "+1", "on", "tRUE", "2", "{}", "[true,f]",
]  # fmt: skip
ENUMS = [
    "MAX", "AVE", "STOCHASTIC", "0", "1", "2", "3", "-1", "0x1", "010", "max", '"MAX"', "MAXX",
    "1.0", "+1", "1_", "FAN_IN", "{}", "[MAX]",
]  # fmt: skip
STRINGS = [
    '"a"', "'a'", '"a" "b"', "'a' \"b\"", '"a"\n"b"', '"a"#c\n "b"', '""', '"a""b"', '["a"]',
    '["a" "b", "c"]', '"a",', '"a\'b"', "'a\"b'", '"a\tb"', '"a\nb"', '"a\\\nb"', '"a', "'a",
    '"', "'", '"\\"', '"\\\\"', '"\\n\\t\\r\\a\\b\\f\\v\\\\\\\'\\""', '"\\101\\x41\\x4\\0\\377"',
    '"\\0012\\x414"', '"\\303\\251"', '"\\xc3\\xa9"', '"\\xff"', '"\\u00e9"', '"\\U0001F600"',
    '"\\ud83d\\ude00"', '"\\ud83d"', '"\\400"', '"\\xZZ"', '"\\x"', '"\\u12"', '"\\U00110000"',
    '"\\d"', '"\\?"', '"C:\\data"', '"\\N"', '"\\8"', '"\\é"', '"中文"', '"é"', '"\x00"',
    '"\u2028"', "1", "true", "-'a'", '"a" 1', '1 "a"', "{}", "a", '"a" : "b"', '"#"', '"{"',
]  # fmt: skip
WHOLE = [
    "", "\n", "#", "# c", 'name: "x"\ufeff', "layer{}", "layer:{}", "layer<>", "layer: <>",
    "layer {}layer{}", "layer{},layer{};layer{}", "layer{},,", "layer [{},{}]",
    'layer: [{name:"a"},<name:"b">]', 'layer: [{name:"a"} {name:"b"}]', "layer: []", "layer []",
    "layer: [<>]", "layer [1]", "layer: 1", 'layer: "a"', "layer", "layer:", "layer {",
    "layer <}", "layer {>", "}", "layer {}}", "layer\n{\n}", "layer\n:\n{}", 'name\n:\n"x"',
    'name : "x"', 'name "x"', 'name = "x"', 'name: "x" name: "y"', "state{} state{}",
    "state{} state{level:1}", "state: {level:1 level:1}", "foo: 1", "foo {}", "foo: [1]", "foo",
    "[foo.bar]: 1", "[foo.bar/baz]{}", 'layer { name: "a" # } \n }',
    '\r\nname: "x"\r\nlayer {\r\n}\r\n', 'name:"x"\tlayer\t{}', 'name:"x"\x0blayer{}',
    'name:"x"\u3000layer{}', 'name:"x"\xa0layer{}', 'input: ["a","b"]', 'input ["a"]',
    "input_dim: [1,2,3]", "input_dim [1]", 'Name: "x"', 'name: "x"input: "y"',
    "input_dim:1input_dim:2", "input_dim:1,input_dim:2", "input_dim:1;input_dim:2;", ",", ";",
    '; name: "x"', ', name: "x"', "{}", "layer {;}", "layer {,}", 'layer { name: "x",}',
    'name: "x" , ; ', '1: "x"', '"name": "x"', 'name: "x" }', 'name:: "x"', "layer:: {}",
    "layer {{}}", "layer () ", 'name: "x" # é', "na-me: 1", "name+: 1", 'layer{name:"x"/*c*/}',
    "// c", 'name: "x" \x00', '# \x00\nname:"x"', "\x00", "name: x", "layer{layer{}}",
    'state { phase: TEST stage: "a" stage: ["b", "c"] }', "debug_info: true,;", "name.x: 1",
    'layer { name: "x" } # end', 'layer { name: "x" } # end\r', 'name: "x"\rinput: "y"',
    'name: "x" # c\rinput: "y"\ninput: "z"', "layer{param{lr_mult:1}param{lr_mult:2}}", "<", ">",
    "layer: {} : {}", "layer {} {}", "layer: [{}] {}", "layer: [{}, {}],layer{}", "state: [{}]",
    "input_dim: - -1", "input_dim: - +1", "input_dim: + 1", "input_dim: -", "name: \ud800",
]  # fmt: skip

SPELLINGS = [
    *((pb.FillerParameter, f"std: {value}") for value in FLOATS),
    *((pb.BlobProto, f"data: {value}") for value in FLOATS),
    *((pb.BlobProto, f"double_data: {value}") for value in FLOATS),
    *((pb.FillerParameter, f"sparse: {value}") for value in INTEGERS),  # int32
    *((pb.ConvolutionParameter, f"num_output: {value}") for value in INTEGERS),  # uint32
    *((pb.ConvolutionParameter, f"pad: {value}") for value in INTEGERS),  # repeated
    *((pb.BlobShape, f"dim: {value}") for value in INTEGERS),  # int64
    *((pb.NetParameter, f"force_backward: {value}") for value in BOOLEANS),
    *((pb.LayerParameter, f"propagate_down: {value}") for value in BOOLEANS),
    *((pb.PoolingParameter, f"pool: {value}") for value in ENUMS),
    *((pb.LayerParameter, f"name: {value}") for value in STRINGS),
    *((pb.LayerParameter, f"bottom: {value}") for value in STRINGS),
    *((pb.Datum, f"data: {value}label:3") for value in STRINGS),  # bytes
    *((pb.NetParameter, text) for text in WHOLE),
]


@pytest.mark.parametrize(
    ("message_type", "text"), SPELLINGS, ids=[ascii(text)[:60] for _, text in SPELLINGS]
)
def test_text_means_what_protobufs_own_parser_makes_of_it(message_type, text):
    assert ours(text, message_type) == googles(text, message_type)


@pytest.mark.parametrize(
    ("message_type", "text", "plain"),
    [
        (pb.NetParameter, '\ufeffname: "x"', 'name: "x"'),
        (pb.NetParameter, "input_dim: - 1", "input_dim: -1"),
        (pb.NetParameter, "input_dim: -\n# one\n1", "input_dim: -1"),
        (pb.NetParameter, "input_dim: [- 1, - 0x2]", "input_dim: [-1, -2]"),
        (pb.FillerParameter, "std: - .5", "std: -0.5"),
        (pb.FillerParameter, "std: - inf", "std: -inf"),
    ],
)
def test_byte_order_mark_and_lone_minus_are_read(message_type, text, plain):
    assert ours(text, message_type) == googles(plain, message_type)


@pytest.mark.parametrize(
    ("file", "message_type"),
    [
        ("digits", pb.NetParameter),
        ("old", pb.NetParameter),
        ("solver", pb.SolverParameter),
        ("every_spelling.canonical", pb.NetParameter),
    ],
)
def test_files_mean_what_protobufs_own_parser_makes_of_them(file, message_type):
    text = read_text(NETS / f"{file}.prototxt")
    expected = googles(text, message_type)
    assert expected is not None
    assert ours(text, message_type) == expected


def test_every_spelling_means_its_canonical_form():
    spelled, plain = (
        ours(read_text(NETS / f"every_spelling{end}.prototxt"), pb.NetParameter)
        for end in ("", ".canonical")
    )
    assert spelled == plain


def test_parsing_gives_a_new_message_each_time():
    first, second = (parse_text('name: "x"', pb.NetParameter)[0] for _ in range(2))
    first.name = "y"
    assert second.name == "x"


def test_field_of_unreadable_value_is_left_out_and_the_rest_is_read():
    net, _, diagnostics = parse_text_diagnosed(
        'name: "x" force_backward: maybe layer { name: "a" frob: 1 type: "ReLU" }', pb.NetParameter
    )
    assert net == pb.NetParameter(name="x", layer=[pb.LayerParameter(name="a", type="ReLU")])
    assert [d.code for d in diagnostics] == ["E003", "E002"]


def test_fields_around_broken_syntax_are_read():
    net, _, diagnostics = parse_text_diagnosed(
        'name: "x"\ninput: \nlayer { name: "a" bottom = "b" top "c" @@ type: "ReLU" ] }\n'
        "debug_info: true",
        pb.NetParameter,
    )
    layer = pb.LayerParameter(name="a", bottom=["b"], top=["c"], type="ReLU")
    assert net == pb.NetParameter(name="x", layer=[layer], debug_info=True)
    assert [d.spans[0].line for d in diagnostics] == [2, 3, 3, 3, 3]


def test_text_is_bound_to_the_message_type_asked_for():
    solver, _ = parse_text("base_lr: 0.5 lr_policy: 'fixed'", pb.SolverParameter)
    assert (solver.base_lr, solver.lr_policy) == (0.5, "fixed")


@pytest.mark.parametrize("text", ["std: 1e39", "std: -1e400", "std: 3.5e38"])
def test_float_beyond_its_range_becomes_infinite_with_a_warning(text):
    message, _, (warning,) = parse_text_diagnosed(text, pb.FillerParameter)
    assert abs(message.std) == float("inf")
    assert (warning.code, warning.severity) == ("W002", Severity.WARNING)


@pytest.mark.parametrize("text", ["std: inf", "std: -Infinity", "std: +inf", "std: 3.4028235e38"])
def test_infinity_that_is_spelled_out_gives_no_warning(text):
    assert parse_text_diagnosed(text, pb.FillerParameter)[2] == []


def test_backslash_before_a_common_character_stays_with_a_warning():
    layer, _, (warning,) = parse_text_diagnosed(r'name: "C:\data\mean"', pb.LayerParameter)
    assert layer.name == r"C:\data\mean"
    assert (warning.code, warning.spans[0].column) == ("W001", 10)
