"""What is said about text that is wrong: the place, the code, the help."""

import pytest

from protonet.ir import protonet_pb2 as pb
from protonet.prototxt import Error, Severity, parse_text, parse_text_diagnosed


def diagnosed(text, message_type=pb.NetParameter):
    return parse_text_diagnosed(text, message_type, "net.prototxt")[2]


def only(text, message_type=pb.NetParameter):
    (diagnostic,) = diagnosed(text, message_type)
    return diagnostic


def place(diagnostic):
    span = diagnostic.spans[0]
    return span.line, span.column, span.end_column - span.column


# ---- syntax ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("layer { name: }", (1, 9, 4), ['"name" has no value', '"}"']),
        ("input_dim:\ninput: 'x'", (1, 1, 9), ['"input_dim" has no value']),
        ('name = "x"', (1, 6, 1), ['expected ":", found "="']),
        ('name "x"', (1, 1, 4), ['expected ":" after "name"']),
        ("layer {\n  name: 'a' >\n", (2, 13, 1), ['expected "}", found ">"']),
        ("layer <\n name: 'a' }", (2, 12, 1), ['expected ">", found "}"']),
        ("layer { } }", (1, 11, 1), ["nothing is open"]),
        ("layer {\n  name: 'a'\n", (1, 7, 1), ["never closed"]),
        ('name: "a\n', (1, 7, 2), ["not closed on its line", 'end it with "']),
        ("input_dim: [1 2]", (1, 15, 1), ['list of "input_dim"']),
        ("input_dim: [1, 2", (1, 17, 0), ["end of file", 'list of "input_dim"']),
        ("input_dim: 1 2", (1, 14, 1), ['unexpected "2" after the value of "input_dim"']),
        ("layer", (1, 6, 0), ["end of file"]),
        ("// a comment", (1, 1, 2), ["comments begin with #"]),
        ("name: “x”", (1, 7, 1), ["typographic quotes"]),
        ("input_dim: ${N}", (1, 12, 1), ["template"]),
        ("name: 'a'\0", (1, 10, 1), ["NUL byte"]),
        ("name: 'a'\n\ufeffinput: 'b'", (2, 1, 1), ["byte order mark"]),
        ("[caffe.extension]: 1", (1, 1, 1), ["extensions", "not supported"]),
        ("name: 'a'\n<<<<<<< HEAD\n", (2, 1, 12), ["merge conflict"]),
        ("input_dim [1]", (1, 1, 9), ['expected ":" after "input_dim"']),
        ("force_backward: 1 'x'", (1, 19, 3), ["unexpected", "'x'"]),
        ("{ name: 'a' }", (1, 1, 1), ["expected a field name", "block has a name"]),
        ("input_dim: 1 3 224", (1, 14, 1), ["several values are written input_dim: [a, b]"]),
        ("input_shape { dim: 1, 3, 224 }", (1, 23, 1), ["written dim: [a, b]"]),
        ("input_dim: (1, 3)", (1, 12, 1), ["a list is written [a, b]"]),
        ("input_dim: 64*3", (1, 14, 1), ["no arithmetic"]),
        ("layer\n  name: 'a'\n}", (1, 1, 5), ['expected "{" after "layer"']),
        ("layer\n  param {\n  }\n}", (1, 1, 5), ['expected "{" after "layer"']),
        ("state\nname: 'a'", (2, 1, 9), ['expected ":" or "{" after "state", found "name"']),
        ("\n<!DOCTYPE html><html><body>404", (2, 1, 9), ["web page", "Raw"]),
    ],
)
def test_syntax_error_tells_place_and_reason(text, where, words):
    diagnostic = only(text)
    assert (diagnostic.code, place(diagnostic)) == ("E001", where)
    told = f"{diagnostic.message} {diagnostic.label} {diagnostic.help}"
    for word in words:
        assert word in told


def test_wrong_closing_brace_shows_what_it_should_close():
    opened = only("layer {\n  name: 'a' >\n").spans[1]
    assert (opened.line, opened.column) == (1, 7)


def test_missing_brace_is_told_where_the_next_block_begins_and_once():
    text = """\
layer {
  name: "one"
  convolution_param {
    num_output: 3
}
layer { name: "two" }
layer { name: "three" }
"""
    diagnostic = only(text)
    assert diagnostic.message == 'a "}" is missing before this layer'
    assert place(diagnostic) == (6, 1, 5)
    assert diagnostic.spans[1].line == 1


def test_each_missing_brace_is_told():
    text = 'layer { name: "a"\nlayer { name: "b"\nlayer { name: "c" }'
    assert [place(d)[0] for d in diagnosed(text)] == [2, 3]


def test_all_errors_of_a_file_are_told_in_the_order_of_the_text():
    text = """\
name: 3
layer { kind: "x" }
layer { name: "a" type "b" pooling_param { pool: MIN stride: -1 } }
layer { name: "c" name: "d" clip_param { min: 0 } }
input_dim: = 4
input_dim: 5 ]
debug_info: maybe
"""
    assert [(d.code, d.spans[0].line) for d in diagnosed(text)] == [
        ("E003", 1), ("E002", 2), ("E001", 3), ("E007", 3), ("E004", 3), ("E005", 4),
        ("E006", 4), ("E001", 5), ("E001", 6), ("E003", 7),
    ]  # fmt: skip


def test_a_field_with_broken_syntax_is_not_also_unknown():
    assert [d.code for d in diagnosed("Contact us at once")] == ["E001", "E001"]


# ---- fields ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "field", "help"),
    [
        (
            "layer { convolution_param { kernl_size: 3 } }",
            "kernl_size",
            "did you mean kernel_size?",
        ),
        ("layer { Name: 'x' }", "Name", "did you mean name?"),
        ("layer { convolution_param { numoutput: 3 } }", "numoutput", "did you mean num_output?"),
        ("layer { pool: MAX }", "pool", "pool goes inside pooling_param { }"),
        ("layer { blobs_lr: 1 }", "blobs_lr", "blobs_lr is a field of layers { }"),
        ("layer { dropout_param { bottom: 'x' } }", "bottom", "LayerParameter"),
        ("base_lr: 0.1", "base_lr", "SolverParameter: is this the right file?"),
        ("state { deep: 1 }", "deep", "its fields are phase, level, stage"),
        ("layer { zzz_param { } }", "zzz_param", "fork of Caffe"),
    ],
)
def test_unknown_field_is_told_with_what_was_probably_meant(text, field, help):
    diagnostic = only(text)
    assert diagnostic.code == "E002"
    assert f'has no field "{field}"' in diagnostic.message
    assert text[diagnostic.spans[0].column - 1 :].startswith(field)
    assert help in diagnostic.help


def test_unknown_block_is_one_error_whatever_is_in_it():
    assert only("layer { mystery { a: 1 b { c: [1, {}] } } }").code == "E002"


def test_field_given_twice_is_told_with_both_places():
    diagnostic = only('name: "x"\ninput: "a"\nname: "x"')
    assert (diagnostic.code, diagnostic.message) == ("E005", "name is given twice")
    assert [span.line for span in diagnostic.spans] == [3, 1]
    assert only("state { } state { }").code == "E005"


def test_repeated_fields_may_be_given_many_times():
    assert diagnosed('input: "a" input: "b" layer { } layer { }') == []


def test_missing_required_field_is_told_at_its_block():
    diagnostic = only('layer { name: "c" type: "Clip"\n  clip_param { min: 0 } }')
    assert (diagnostic.code, diagnostic.message) == ("E006", "clip_param needs max")
    assert place(diagnostic) == (2, 3, 10)
    assert diagnostic.notes == ('layer "c" (Clip)',)


def test_layer_is_named_even_when_its_name_comes_later():
    diagnostic = only('layers { pooling_param { frob: 1 } name: "p" type: POOLING }')
    assert diagnostic.notes == ('layer "p" (POOLING)',)


# ---- values ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("input_dim: 1.0", "E003", ["a whole number", '"1.0"', "write 1"]),
        ("input_dim: 1e3", "E003", ["a whole number", "write 1000"]),
        ("input_dim: '7'", "E003", ["write input_dim: 7, without quotes"]),
        ("input_dim: x", "E003", ["a whole number", '"x"']),
        ("input_dim: { }", "E003", ["found a block"]),
        ("input_dim: 2147483648", "E004", ["from -2147483648 to 2147483647", '"2147483648"']),
        (f"input_dim: {'9' * 5000}", "E004", ["2147483647", "…"]),
        ("layer { dropout_param { dropout_ratio: high } }", "E003", ["a number", '"high"']),
        ("layer { convolution_param { num_output: -1 } }", "E004", ["from 0 to 4294967295"]),
        ("layer { blobs { shape { dim: 9223372036854775808 } } }", "E004", ["9223372036854775807"]),
        ("force_backward: TRUE", "E003", ["true or false", "write true"]),
        ("force_backward: no", "E003", ["write false"]),
        ("force_backward: 'true'", "E003", ["write force_backward: true, without quotes"]),
        ("name: net", "E003", ["a string in quotes", 'name: "net"']),
        ("state { phase: 'TEST' }", "E003", ["one of TRAIN, TEST", "write phase: TEST"]),
        ("state { phase: TESTING }", "E007", ['"TESTING"', "did you mean TEST?"]),
        ("state { phase: 7 }", "E007", ["(Phase)", "the values are TRAIN, TEST"]),
        ("layer { pooling_param { pool: max } }", "E007", ["did you mean MAX?"]),
        ("layer: 3", "E003", ["a block { }", "write layer { ... }"]),
        ("state: [ { } ]", "E003", ["one value and no list"]),
        ("force_backward: [true]", "E003", ["one value and no list"]),
        (r"name: 'a\xZZ'", "E012", ["expected one or two hexadecimal digits"]),
        (r"name: '\400'", "E012", [r"octal escapes end at \377"]),
        (r"name: '\xff'", "E012", ["UTF-8"]),
        (r"name: '\ud800'", "E012", ["not a character"]),
    ],
)
def test_wrong_value_is_told_with_what_is_taken_and_found(text, code, words):
    diagnostic = only(text)
    assert diagnostic.code == code
    told = f"{diagnostic.message} {diagnostic.help}"
    for word in words:
        assert word in told


def test_wrong_value_in_a_list_has_its_own_place():
    assert [place(d) for d in diagnosed("input_dim: [1, x,\n 2, 'y']")] == [(1, 16, 1), (2, 5, 3)]


def test_bad_escape_is_pointed_at():
    assert place(only(r'name: "good" "b\xZZ"')) == (1, 16, 2)


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ('layers { type: "Convolution" }', "type: CONVOLUTION"),
        ('layers { type: "Convolution" }', "layers { } is the old form"),
        ("layer { type: CONVOLUTION }", 'type: "Convolution"'),
        ("layer { type: RELU }", 'type: "ReLU"'),
        ("layer { type: SOFTMAX_LOSS }", 'type: "SoftmaxWithLoss"'),
        ("layer { type: HDF5_DATA }", 'type: "HDF5Data"'),
    ],
)
def test_old_and_new_form_of_layers_mixed_up(text, help):
    diagnostic = only(text)
    assert diagnostic.code == "E003"
    assert help in diagnostic.help


# ---- limits ------------------------------------------------------------------------------


def test_bottomless_nesting_is_one_error():
    for piece in ("layer {", "a<", "x\n{", "a: [{", "layer: [<"):
        diagnostics = diagnosed(piece * 5000)
        assert "E008" in [d.code for d in diagnostics]
        assert len(diagnostics) < 5


def test_endless_errors_end():
    diagnostics = diagnosed("frob: 1\n" * 10_000)
    assert len(diagnostics) == 501
    assert diagnostics[-1].code == "E009"


# ---- raising -----------------------------------------------------------------------------


def test_parse_text_raises_one_error_with_everything():
    with pytest.raises(Error) as raised:
        parse_text("frob: 1\nname: 2\n", pb.NetParameter, "net.prototxt")
    assert [d.code for d in raised.value.diagnostics] == ["E002", "E003"]
    assert str(raised.value).startswith("net.prototxt:1:1: error[E002]: ")


def test_warnings_do_not_raise():
    text = r'layer { name: "a\d" }'
    assert diagnosed(text)[0].severity is Severity.WARNING
    assert parse_text(text, pb.NetParameter)[0].layer[0].name == r"a\d"


def test_message_never_carries_control_characters():
    for diagnostic in diagnosed('\x1b[31m\x07 frob\x1b: 1 name: \x1b "a\x1b\\x"'):
        assert f"{diagnostic.message}{diagnostic.label}{diagnostic.help}".isprintable()
