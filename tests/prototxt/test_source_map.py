"""Where each field of a message came from."""

import pytest

from protonet.ir import protonet_pb2 as pb
from protonet.prototxt import SourceMap, parse_text, parse_text_diagnosed

TEXT = """\
name: "net"
input: [ "a",
  "b" ]  input: 'c'
layer {
  name : "conv" type:
    "Convolution"
  convolution_param: < kernel_size: 35, pad: [1, 2]
    weight_filler { type: "x" "y" } >
}
layer: [ { name: "one" }, < name: "two" > ]
"""


@pytest.fixture
def source() -> SourceMap:
    return parse_text(TEXT, pb.NetParameter, "net.txt")[1]


def shown(source, span):
    starts = [0]
    for line in source.text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return source.text[
        starts[span.line - 1] + span.column - 1 : starts[span.end_line - 1] + span.end_column - 1
    ]


@pytest.mark.parametrize(
    ("path", "value", "line", "column"),
    [
        (("name",), '"net"', 1, 7),
        (("input", 0), '"a"', 2, 10),
        (("input", 1), '"b"', 3, 3),
        (("input", 2), "'c'", 3, 17),
        (("layer", 0), "layer", 4, 1),
        (("layer", 0, "name"), '"conv"', 5, 10),
        (("layer", 0, "type"), '"Convolution"', 6, 5),
        (("layer", 0, "convolution_param"), "convolution_param", 7, 3),
        (("layer", 0, "convolution_param", "kernel_size", 0), "35", 7, 37),
        (("layer", 0, "convolution_param", "pad", 1), "2", 7, 50),
        (("layer", 0, "convolution_param", "weight_filler", "type"), '"x" "y"', 8, 27),
        (("layer", 1, "name"), '"one"', 10, 18),
        (("layer", 2), "layer", 10, 1),
        (("layer", 2, "name"), '"two"', 10, 35),
    ],
)
def test_span_is_the_value_of_a_scalar_and_the_name_of_a_block(source, path, value, line, column):
    span = source.exact(path)
    assert (shown(source, span), span.line, span.column) == (value, line, column)
    assert source.span(path) == span
    assert span.file == "net.txt"


def test_key_span_is_the_name_of_the_field(source):
    assert shown(source, source.key_span(("layer", 0, "name"))) == "name"
    assert shown(source, source.key_span(("layer", 0, "convolution_param", "pad", 1))) == "pad"


def test_absent_field_has_the_span_of_the_block_around_it(source):
    path = ("layer", 0, "convolution_param", "stride", 0)
    assert source.exact(path) is None
    assert shown(source, source.span(path)) == "convolution_param"
    assert source.span(("layer", 0, "pooling_param", "pool")) == source.span(("layer", 0))


def test_path_outside_everything_has_the_start_of_the_file(source):
    for span in (source.span(()), source.span(("state", "level")), source.key_span(("x",))):
        assert (span.line, span.column, span.end_line, span.end_column) == (1, 1, 1, 1)


def test_repeated_field_without_index_stands_for_its_first_element(source):
    assert source.exact(("input",)) == source.exact(("input", 0))


def test_map_of_nothing_knows_only_the_start_of_the_file():
    assert str(SourceMap("made.prototxt").span(("layer", 0))) == "made.prototxt:1:1"


def test_remapped_finds_moved_fields_at_their_old_place(source):
    moved = source.remapped({("layer", 5): ("layer", 0), ("layer", 5, "new"): ("name",)})
    assert moved.span(("layer", 5, "name")) == source.span(("layer", 0, "name"))
    assert moved.key_span(("layer", 5, "type")) == source.key_span(("layer", 0, "type"))
    assert moved.span(("layer", 5, "new")) == source.span(("name",))
    assert moved.exact(("layer", 5, "bottom", 0)) is None
    assert moved.span(("layer", 5, "bottom", 0)) == source.span(("layer", 0))
    assert moved.text == source.text


def test_remapped_leaves_other_paths_and_remaps_again(source):
    twice = source.remapped({("layer", 7): ("layer", 2)}).remapped({("layer", 9): ("layer", 7)})
    assert twice.span(("layer", 9, "name")) == source.span(("layer", 2, "name"))
    assert twice.span(("layer", 1, "name")) == source.span(("layer", 1, "name"))


def test_what_is_moved_to_the_whole_file_has_its_start(source):
    assert source.remapped({("layer", 0): ()}).span(("layer", 0)).line == 1


def test_values_that_were_left_out_do_not_shift_the_others():
    text = "input_dim: [1, x, 2]\ninput_dim: 3.5 input_dim: 4"
    net, source, _ = parse_text_diagnosed(text, pb.NetParameter)
    assert list(net.input_dim) == [1, 2, 4]
    assert [shown(source, source.exact(("input_dim", i))) for i in range(3)] == ["1", "2", "4"]


def test_blocks_behind_a_missing_brace_are_found_where_they_belong():
    text = 'layer { name: "a" relu_param { \n}\nlayer { name: "b" }\nlayer { name: "c" }'
    net, source, _ = parse_text_diagnosed(text, pb.NetParameter)
    assert [layer.name for layer in net.layer] == ["a", "b", "c"]
    assert [source.span(("layer", i)).line for i in range(3)] == [1, 3, 4]


def test_columns_count_characters_behind_byte_order_mark_tabs_and_carriage_returns():
    source = parse_text('\ufeffname: "é中"\r\n\tinput: "x"\r\n', pb.NetParameter)[1]
    assert (source.span(("name",)).column, source.span(("name",)).end_column) == (7, 11)
    assert (source.span(("input", 0)).line, source.span(("input", 0)).column) == (2, 9)
