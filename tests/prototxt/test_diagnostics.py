"""Diagnostics as text, as JSON and as exceptions."""

import json
import pickle
import re

import pytest

from protonet.prototxt import Diagnostic, Error, Severity, Span, as_json, nearest, render

TEXT = """\
layer {
  name: "conv1"
  convolution_param {
    kernel_size: 35
\tpad: 1
  }
}
"""


def span(line, column, width, file="net.prototxt"):
    return Span(file, line, column, line, column + width)


def shown(*diagnostics, text=TEXT, **options):
    return render(diagnostics, {"net.prototxt": text}, **options)


def test_error_is_shown_with_source_caret_notes_and_help():
    diagnostic = Diagnostic(
        "E204",
        "kernel 35×35 does not fit a 28×28 input",
        (span(4, 18, 2),),
        "H' = (28 + 2·0 − 35)/1 + 1 = −6",
        ('layer "conv1" (Convolution), bottom "data" is 64×1×28×28',),
        "kernel_size must be at most 28, or pad at least 4",
    )
    assert (
        shown(diagnostic)
        == """\
net.prototxt:4:18: error[E204]: kernel 35×35 does not fit a 28×28 input
    4 |     kernel_size: 35
      |                  ^^ H' = (28 + 2·0 − 35)/1 + 1 = −6
      = layer "conv1" (Convolution), bottom "data" is 64×1×28×28
      = help: kernel_size must be at most 28, or pad at least 4"""
    )


def test_further_places_are_underlined_with_dashes():
    other = span(2, 1, 3, "other.prototxt")
    diagnostic = Diagnostic("W101", "twice", (span(2, 3, 4), span(1, 1, 5), other))
    text = render([diagnostic], {"net.prototxt": TEXT, "other.prototxt": "a\nbcd\n"})
    assert (
        text
        == """\
net.prototxt:2:3: warning[W101]: twice
    2 |   name: "conv1"
      |   ^^^^
    1 | layer {
      | -----
      --> other.prototxt:2:1
    2 | bcd
      | ---"""
    )


def test_tabs_are_widened_before_the_caret():
    line, carets = shown(Diagnostic("E1", "", (span(5, 7, 1),))).splitlines()[1:]
    assert line == "    5 |     pad: 1"
    assert carets == "      |          ^"


def test_wide_characters_take_two_columns():
    text = 'name: "中文" x'
    carets = shown(Diagnostic("E1", "", (span(1, 12, 1),)), text=text).splitlines()[2]
    assert carets == "      | " + " " * 13 + "^"


def test_long_line_is_clipped_around_the_caret():
    text = "a" * 50_000 + "BAD" + "b" * 48_000
    lines = shown(Diagnostic("E1", "", (span(1, 50_001, 3),)), text=text).splitlines()
    assert all(len(line) < 120 for line in lines)
    caret = lines[2].index("^^^")
    assert lines[1][caret : caret + 3] == "BAD"
    assert lines[1].count("…") == 2


def test_span_over_lines_is_marked_to_the_end_of_the_first():
    diagnostic = Diagnostic("E1", "", (Span("net.prototxt", 1, 7, 7, 2),))
    assert shown(diagnostic).splitlines()[2] == "      |       ^"


@pytest.mark.parametrize(
    "place",
    [Span("net.prototxt", 1, 500, 1, 600), Span("net.prototxt", 2, 9, 2, 3), span(7, 2, 1)],
)
def test_span_past_the_end_still_has_a_caret(place):
    assert re.search(r"\| +\^+$", shown(Diagnostic("E1", "", (place,))))


@pytest.mark.parametrize("place", [span(900, 1, 1), span(0, 0, 0), span(3, 1, 1, "no.such/file")])
def test_without_the_source_line_the_rest_is_shown(place):
    text = shown(Diagnostic("E1", "broken", (place,), "here", help="mend it"))
    assert "broken" in text
    assert "here" in text
    assert "mend it" in text


def test_file_is_read_when_its_text_is_not_given(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_bytes(b"\xef\xbb\xbfname: 1\r\n# \xe9\r\n")
    diagnostic = Diagnostic("E1", "", (span(1, 7, 1, str(path)),))
    assert "    1 | name: 1\n      |       ^" in render([diagnostic])


@pytest.mark.parametrize("name", [".", "a\0b", "<string>", ""])
def test_what_is_no_file_is_not_read(name):
    assert render([Diagnostic("E1", "broken", (span(1, 1, 1, name),))])


def test_control_characters_of_the_text_do_not_reach_the_terminal():
    text = "a\x1b[31m\x07\udc80\x9b"
    rendered = shown(Diagnostic("E1", text, (span(1, 1, 1),), text, (text,), text), text=text)
    assert all(line.isprintable() for line in rendered.splitlines())
    rendered.encode()


def test_color_only_adds_escapes():
    diagnostic = Diagnostic("E1", "m", (span(1, 1, 5),), "l", ("n",), "h")
    colored = shown(diagnostic, color=True)
    assert "\x1b[1;31m" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == shown(diagnostic)


def test_one_diagnostic_can_be_rendered_and_none_is_nothing():
    assert render(Diagnostic("E1", "m")) == "error[E1]: m"
    assert render([]) == ""


@pytest.mark.parametrize(
    ("code", "severity"),
    [("E001", "error"), ("W101", "warning"), ("I102", "info"), ("", "error")],
)
def test_severity_follows_from_the_code(code, severity):
    assert Diagnostic(code, "m").severity is Severity(severity)
    assert Diagnostic(code, "m", severity=Severity.INFO).severity is Severity.INFO


def test_json_has_every_part_by_name():
    diagnostic = Diagnostic("E1", "é", (span(4, 18, 2),), "l", ("n",), "h")
    assert json.loads(as_json([diagnostic])) == {
        "version": 1,
        "diagnostics": [
            {
                "code": "E1",
                "severity": "error",
                "message": "é",
                "label": "l",
                "notes": ["n"],
                "help": "h",
                "spans": [
                    {
                        "file": "net.prototxt",
                        "line": 4,
                        "column": 18,
                        "end_line": 4,
                        "end_column": 20,
                    }
                ],
            }
        ],
    }
    assert json.loads(as_json([]))["diagnostics"] == []


def test_error_text_begins_with_file_line_and_column():
    diagnostic = Diagnostic("E1", "broken", (span(4, 18, 2),), help="mend it")
    assert str(Error(diagnostic)) == "net.prototxt:4:18: error[E1]: broken\n    help: mend it"


def test_error_text_tells_errors_before_warnings_and_counts_what_it_leaves_out():
    warning, error = Diagnostic("W1", "odd"), Diagnostic("E1", "broken")
    assert str(Error(warning, error)) == "error[E1]: broken"
    assert str(Error(*[error] * 12)).splitlines()[-1] == "(and 2 more)"
    assert str(Error(warning)) == "warning[W1]: odd"


def test_error_can_be_a_plain_sentence():
    error = Error("no such blob")
    assert str(error) == "no such blob"
    assert error.diagnostics == (Diagnostic("", "no such blob"),)


def test_error_survives_pickling():
    error = Error(Diagnostic("E1", "broken", (span(1, 2, 3),)))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.diagnostics) == (str(error), error.diagnostics)


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("kernl_size", "kernel_size"),
        ("KERNEL_SIZE", "kernel_size"),
        ("kernelsize", "kernel_size"),
        ("POOLING", "Pooling"),
        ("Conv", "Convolution"),
        ("size", "kernel_size"),
        ("xyzzy", None),
        ("", None),
        ("k" * 1_000_000, None),
    ],
)
def test_nearest_finds_what_was_meant(word, found):
    assert nearest(word, ["kernel_h", "kernel_size", "Pooling", "Convolution"]) == found
