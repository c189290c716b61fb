"""Likely mistakes that Caffe takes without a word; and no warning where there is none."""

from __future__ import annotations

import pytest
from checking import Checker, at, image

LABEL = 'layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 4 } } }\n'
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "%s" bottom: "label" top: "loss" }\n'


def fc(outputs: int = 5, name: str = "fc", bottom: str = "data", more: str = "") -> str:
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" '
        f"inner_product_param {{ num_output: {outputs} {more} }} }}\n"
    )


XAVIER = 'weight_filler { type: "xavier" }'
GOOD = image(4, 3, 8, 8) + LABEL + fc(more=XAVIER) + LOSS % "fc"


def test_good_training_net_gives_no_warning(check: Checker) -> None:
    assert check(GOOD) == []


def test_softmax_before_a_loss_that_contains_it(check: Checker) -> None:
    softmax = 'layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }\n'
    text = image(4, 3, 8, 8) + LABEL + fc() + softmax + LOSS % "prob"
    found = check.only(text, "W201")
    assert at(text, found) == '"prob"'
    assert found.help == 'use "fc" here, the scores before Softmax'


def test_softmax_over_one_class(check: Checker) -> None:
    assert check.only(GOOD.replace("num_output: 5", "num_output: 1"), "W202").spans


def test_batch_norm_by_the_batch_in_testing(check: Checker) -> None:
    text = image(4, 3, 8, 8) + "".join(
        f'layer {{ name: "bn{i}" type: "BatchNorm" bottom: "data" top: "bn{i}" '
        "batch_norm_param { use_global_stats: false } }\n"
        for i in range(7)
    )
    found = check.only(text, "W203")
    assert at(text, found) == "false"
    assert found.notes[1] == 'the same in layers "bn1", "bn2", "bn3", "bn4" and 2 more'


def test_batch_norm_that_never_gathers_statistics(check: Checker) -> None:
    text = image(4, 3, 8, 8) + (
        'layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" include { phase: TRAIN } '
        "batch_norm_param { use_global_stats: true } }\n"
    )
    assert at(text, check.only(text, "W203")) == "true"


def test_usual_batch_norm_gives_no_warning(check: Checker) -> None:
    both = "".join(
        f'layer {{ name: "bn{i}" type: "BatchNorm" bottom: "data" top: "bn{i}" {more} }}\n'
        for i, more in enumerate(
            ("", "batch_norm_param { use_global_stats: true }", "batch_norm_param { eps: 0.1 }")
        )
    )
    assert check(image(4, 3, 8, 8) + both) == []


def test_loss_with_its_bottoms_exchanged(check: Checker) -> None:
    text = (
        image(4, 3, 8, 8)
        + LABEL.replace("dim: 4", "dim: 4 dim: 2")
        + fc(1, more=XAVIER)
        + LOSS.replace('bottom: "%s" bottom: "label"', 'bottom: "label" bottom: "fc"')
    )
    found = check.only(text, "W204")
    assert at(text, found) == '"fc"'


def test_one_layer_without_a_filler_among_others_with(check: Checker) -> None:
    text = image(4, 3, 8, 8) + LABEL + fc(6, "a", more=XAVIER) + fc(5, "b", "a") + LOSS % "b"
    found = check.only(text, "W205")
    assert found.notes == ('layer "b" (InnerProduct)',)


def test_net_without_any_filler_is_for_weights_from_a_file(check: Checker) -> None:
    assert check(image(4, 3, 8, 8) + LABEL + fc(6, "a") + fc(5, "b", "a") + LOSS % "b") == []


@pytest.mark.parametrize(("phase", "expected"), [("TEST", ["W206"]), ("TRAIN", [])])
def test_mirror_matters_where_a_layer_is_for_testing(
    check: Checker, phase: str, expected: list[str]
) -> None:
    text = (
        f'layer {{ name: "d" type: "Data" top: "data" top: "label" include {{ phase: {phase} }} '
        "transform_param { mirror: true } "
        'data_param { source: "none" backend: LMDB batch_size: 2 } }\n'
        'layer { name: "s" type: "Silence" bottom: "data" bottom: "label" }\n'
    )
    assert [d.code for d in check(text) if d.code.startswith("W")] == expected


@pytest.mark.parametrize(("images", "expected"), [(0, ["W207"]), (1, [])])
def test_a_batch_of_nothing_is_told(check: Checker, images: int, expected: list[str]) -> None:
    text = (
        'layer { name: "d" type: "Input" top: "x" '
        f"input_param {{ shape {{ dim: {images} dim: 3 }} }} }}\n"
        'layer { name: "r" type: "ReLU" bottom: "x" top: "y" }\n'
    )
    assert [d.code for d in check(text) if d.code.startswith("W")] == expected


class TestUnusedTops:
    def codes(self, check: Checker, text: str) -> list[str]:
        return [found.code for found in check(text)]

    def test_outputs_of_a_net_without_loss_are_natural(self, check: Checker) -> None:
        assert check(image(4, 3, 8, 8) + fc(5, "a") + fc(6, "b")) == []

    def test_branch_that_reaches_no_loss_is_told(self, check: Checker) -> None:
        text = GOOD + fc(7, "branch", more=XAVIER)
        found = check.only(text, "I101")
        assert at(text, found) == '"branch"'

    def test_input_that_nobody_reads_is_told(self, check: Checker) -> None:
        assert self.codes(check, image(4, 3, 8, 8) + LABEL + fc()) == ["I101"]

    def test_accuracy_loss_and_silenced_tops_are_not_told(self, check: Checker) -> None:
        text = (
            GOOD
            + fc(7, "branch", more=XAVIER)
            + (
                'layer { name: "acc" type: "Accuracy" bottom: "fc" bottom: "label" top: "acc" }\n'
                'layer { name: "s" type: "Silence" bottom: "branch" }\n'
            )
        )
        assert check(text) == []

    def test_top_that_one_phase_reads_is_used(self, check: Checker) -> None:
        text = (
            GOOD
            + fc(7, "branch", more=XAVIER)
            + ('layer { name: "r" type: "Silence" bottom: "branch" include { phase: TEST } }\n')
        )
        assert check(text) == []

    def test_nothing_is_told_beside_an_unknown_bottom(self, check: Checker) -> None:
        text = GOOD + fc(7, "brunch", more=XAVIER) + fc(7, "more", "branch", XAVIER)
        assert self.codes(check, text) == ["E102"]
