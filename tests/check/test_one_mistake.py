"""All mistakes of a file in one run; one mistake neither hides nor multiplies others."""

from __future__ import annotations

import pytest
from checking import Checker, at, image

from protonet.prototxt.diagnostics import Severity

NET = (
    image(4, 3, 16, 16)
    + """layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 8 kernel_size: 3 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2"
        convolution_param { num_output: 6 kernel_size: 3 group: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "conv2" top: "fc"
        inner_product_param { num_output: 10 } }
"""
)


def test_the_net_of_these_tests_is_good(check: Checker) -> None:
    assert check(NET) == []


@pytest.mark.parametrize(
    ("right", "wrong", "code"),
    [
        ('type: "Convolution" bottom: "data"', 'type: "Convolutoin" bottom: "data"', "E101"),
        ('bottom: "data"', 'bottom: "dato"', "E102"),
        ("kernel_size: 3 }", "kernel_size: 33 }", "E204"),
        ("kernel_size: 3 }", "kernal_size: 3 }", "E002"),
        ("kernel_size: 3 }", 'kernel_size: "3" }', "E003"),
        ("num_output: 8", "num_output: -8", "E004"),
        ("num_output: 8", "num_output: 8 num_output: 9", "E005"),
        ("num_output: 8", "num_output: 7", "E201"),
        ('top: "conv1"\n', 'topp: "conv1"\n', "E002"),
        ('name: "conv1"', 'name "conv1"', "E001"),
        ('name: "conv1"', "include { phase: TRIAN }", "E007"),
    ],
)
def test_one_mistake_is_one_error(check: Checker, right: str, wrong: str, code: str) -> None:
    assert NET.count(right) >= 1
    found = check.errors(NET.replace(right, wrong, 1))
    assert [diagnostic.code for diagnostic in found] == [code]


def test_mistakes_of_all_kinds_are_told_in_one_run(check: Checker) -> None:
    text = (
        NET.replace('bottom: "data"', 'bottom: "dato"')
        .replace('type: "ReLU"', 'type: "RelU2"')
        .replace("num_output: 10", "num_ouput: 10")
    )
    text += 'layer { name: "a" type: "ReLU" bottom: "data" top: "fc" }\n'
    assert [d.code for d in check.errors(text)] == ["E102", "E101", "E002"]


def test_shape_errors_behind_an_unknown_bottom_elsewhere_are_still_told(check: Checker) -> None:
    text = NET.replace("group: 2", "group: 5") + (
        'layer { name: "lost" type: "ReLU" bottom: "nowhere" top: "lost" }\n'
    )
    assert sorted(d.code for d in check.errors(text)) == ["E102", "E201"]


def test_the_same_error_in_both_phases_is_told_once(check: Checker) -> None:
    data = image(4, 3, 16, 16)
    both = data.replace("\n", "").replace("} } }", "} } include { phase: TRAIN } }\n")
    both += data.replace("dim: 4", "dim: 9").replace("} } }", "} } include { phase: TEST } }")
    text = NET.replace(data, both).replace("kernel_size: 3 }", "kernel_size: 30 }", 1)
    (found,) = check.errors(text)
    assert found.code == "E204"


def test_errors_are_told_in_the_order_of_the_file(check: Checker) -> None:
    text = NET.replace("group: 2", "group: 5").replace("kernel_size: 3 }", "kernal_size: 3 }")
    lines = [found.spans[0].line for found in check(text)]
    assert lines == sorted(lines)


def test_every_error_stands_on_its_own_text(check: Checker) -> None:
    text = NET.replace("group: 2", "group: 5")
    assert at(text, check.errors(text)[0]) == "5"


def test_notes_do_not_make_a_file_fail(check: Checker) -> None:
    text = (
        NET + 'layer { name: "more" type: "Input" top: "more" input_param { shape { dim: 1 } } }\n'
    )
    found = check(text)
    assert [d.code for d in found] == ["I101"]
    assert all(d.severity is Severity.INFO for d in found)
