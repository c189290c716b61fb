"""Each mistake in how layers are put together: told once, at its place, with a way out."""

from __future__ import annotations

import pytest
from checking import Checker, at, image

CONV = (
    'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" '
    "convolution_param { num_output: 4 kernel_size: 3 } }\n"
)


def test_unknown_layer_type_names_the_nearest(check: Checker) -> None:
    text = image(1, 3, 8, 8) + CONV.replace('"Convolution"', '"Convolutin"')
    found = check.only(text, "E101")
    assert at(text, found) == '"Convolutin"'
    assert found.help == 'did you mean "Convolution"?'


def test_layer_without_a_type_is_told_so(check: Checker) -> None:
    text = image(1, 3, 8, 8) + CONV.replace('type: "Convolution" ', "")
    found = check.only(text, "E101")
    assert found.message == "the layer has no type"
    assert at(text, found) == "layer"


def test_unknown_bottom_names_the_nearest_blob(check: Checker) -> None:
    text = image(1, 3, 8, 8) + CONV.replace('bottom: "data"', 'bottom: "dat"')
    found = check.only(text, "E102")
    assert at(text, found) == '"dat"'
    assert found.help == 'did you mean "data"?'
    assert found.notes == ('layer "conv" (Convolution)',)


def test_bottom_that_is_made_later_names_the_layer_that_makes_it(check: Checker) -> None:
    relu = 'layer { name: "relu" type: "ReLU" bottom: "conv" top: "relu" }\n'
    found = check.only(image(1, 3, 8, 8) + relu + CONV, "E102")
    assert 'produced later by layer "conv"' in found.help


def test_bottom_of_the_other_phase_says_which_rules_left_its_maker_out(check: Checker) -> None:
    text = image(1, 3, 8, 8) + (
        'layer { name: "noise" type: "ReLU" bottom: "data" top: "noise" '
        "include { phase: TRAIN } }\n"
        'layer { name: "relu" type: "ReLU" bottom: "noise" top: "out" }\n'
    )
    found = check.only(text, "E102")
    assert found.help.startswith('layer "noise" makes it')
    assert found.help.endswith("in phase TEST")


def test_layer_cannot_read_what_it_makes_itself(check: Checker) -> None:
    text = image(1, 3, 8, 8) + 'layer { name: "a" type: "ReLU" bottom: "b" top: "b" }\n'
    assert check.only(text, "E102").help == "a layer cannot read what it makes itself"


def test_duplicate_top_points_at_both(check: Checker) -> None:
    text = image(1, 3, 8, 8) + CONV + CONV.replace('name: "conv"', 'name: "again"')
    found = check.only(text, "E103")
    assert 'already made by layer "conv"' in found.message
    assert [span.line for span in found.spans] == [3, 2]
    assert at(text, found) == at(text, found, 1) == '"conv"'


def test_duplicate_layer_name_is_a_warning(check: Checker) -> None:
    text = image(1, 3, 8, 8) + CONV + CONV.replace('top: "conv"', 'top: "again"')
    found = check.only(text, "W101")
    assert at(text, found) == '"conv"'
    assert [span.line for span in found.spans] == [3, 2]


def test_number_of_bottoms_points_at_the_one_too_many(check: Checker) -> None:
    text = image(1, 3, 8, 8) + (
        'layer { name: "relu" type: "ReLU" bottom: "data" bottom: "data" top: "out" }\n'
    )
    found = check.only(text, "E104")
    assert found.message == 'layer "relu" (ReLU) takes 1 bottom, not 2'
    assert found.spans[0].column == text.split("\n")[1].rindex('"data"') + 1


def test_blobs_of_a_forks_layer_of_the_same_name_are_told_to_be_its(check: Checker) -> None:
    text = image(1, 3, 8, 8) + (
        'layer { name: "fc" type: "InnerProduct" bottom: "data" bottom: "data" top: "out" '
        "inner_product_param { num_output: 2 } }\n"
    )
    assert "NormFace" in check.only(text, "E104").help
    assert not check.only(text.replace('bottom: "data"', ""), "E104").help


def test_number_of_tops_points_at_the_layer_when_one_is_missing(check: Checker) -> None:
    text = image(1, 3, 8, 8) + 'layer { name: "relu" type: "ReLU" bottom: "data" }\n'
    found = check.only(text, "E104")
    assert found.message == 'layer "relu" (ReLU) takes 1 top, not 0'
    assert at(text, found) == "layer"


def test_convolution_takes_as_many_tops_as_bottoms(check: Checker) -> None:
    text = image(1, 3, 8, 8) + CONV.replace('top: "conv"', 'top: "a" top: "b"')
    assert "as many tops as bottoms, not 1 bottom and 2 tops" in check.only(text, "E104").message


def test_layer_that_cannot_work_in_place_is_told_so(check: Checker) -> None:
    text = image(1, 3, 8, 8) + CONV.replace('top: "conv"', 'top: "data"')
    assert check.only(text, "E106").message == "Convolution cannot work in place"


IN_PLACE = 'layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }\n'


@pytest.mark.parametrize(
    ("reader", "pointed"),
    [
        (CONV + 'layer { name: "tanh" type: "TanH" bottom: "conv" top: "tanh" }\n', '"conv"'),
        (CONV.replace('top: "conv"', 'top: "conv" loss_weight: 2'), "2"),
    ],
)
def test_blob_that_another_has_read_cannot_be_changed_in_place(
    check: Checker, reader: str, pointed: str
) -> None:
    text = image(1, 3, 8, 8) + reader + IN_PLACE
    found = check.only(text, "E106")
    assert at(text, found) == '"conv"'
    assert found.spans[0].line == text.count("\n")
    assert at(text, found, 1) == pointed


def test_blob_that_is_read_after_it_was_changed_in_place_is_fine(check: Checker) -> None:
    readers = "".join(
        f'layer {{ name: "{name}" type: "TanH" bottom: "conv" top: "{name}" }}\n' for name in "ab"
    )
    assert not check.errors(
        image(1, 3, 8, 8) + CONV + IN_PLACE + IN_PLACE.replace("relu", "r") + readers
    )


def test_shape_error_prints_shapes_and_the_formula_with_its_numbers(check: Checker) -> None:
    text = image(64, 1, 28, 28) + CONV.replace("kernel_size: 3", "kernel_size: 35")
    found = check.only(text, "E204")
    assert found.message == "kernel 35×35 does not fit a 28×28 input"
    assert found.label == "H' = (28 + 2·0 − 35)/1 + 1 = −6"
    assert at(text, found) == "35"
    assert 'bottom "data" is 64×1×28×28, made at line 1' in found.notes[0]


def test_blob_beyond_what_an_int_counts_is_refused_without_being_made(check: Checker) -> None:
    found = check.only(image(65536, 3, 4096, 4096), "E206")
    assert "65536×3×4096×4096" in found.message
    assert "2,147,483,647" in found.help


def test_parameter_beyond_what_an_int_counts_is_refused(check: Checker) -> None:
    text = image(1, 3, 512, 512) + (
        'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" '
        "inner_product_param { num_output: 4000000 } }\n"
    )
    assert "parameter 0" in check.only(text, "E206").message


def test_shared_parameters_of_other_shapes_point_at_both(check: Checker) -> None:
    layers = "".join(
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "data" top: "{name}" '
        f'inner_product_param {{ num_output: {count} }} param {{ name: "w" }} }}\n'
        for name, count in (("a", 3), ("b", 2))
    )
    found = check.only(image(2, 4) + layers, "E110")
    assert 'is 3×4 in layer "a" but 2×4 here' in found.message
    assert [span.line for span in found.spans] == [3, 2]


def test_include_and_exclude_in_one_layer(check: Checker) -> None:
    text = image(1, 3, 8, 8) + CONV.replace(
        "convolution_param", "include { phase: TEST } exclude { phase: TRAIN } convolution_param"
    )
    assert at(text, check.only(text, "E105")) == "exclude"


def test_labels_must_be_as_many_as_predictions(check: Checker) -> None:
    text = image(10, 5) + (
        'layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 7 } } }\n'
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "l" }\n'
    )
    found = check.only(text, "E203")
    assert at(text, found) == '"label"'
    assert 'bottom "data" is 10×5, made at line 1, bottom "label" is 7' in found.notes[0]
