"""`protonet layers`: a table of contents of the layer types."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from protonet.cli import main
from protonet.layers.registry import layer_types


def run(*args: str) -> str:
    done = CliRunner().invoke(main, ["layers", *args])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_every_type_has_a_line_with_words() -> None:
    lines = run().rstrip("\n").split("\n")
    assert [line.split()[0] for line in lines] == layer_types()
    assert all(len(line.split()) > 1 for line in lines)


@pytest.mark.parametrize("type", layer_types())
def test_every_type_is_explained(type: str) -> None:
    assert run(type).startswith(f"{type}\n")


def test_explanation_has_the_fields_with_their_defaults() -> None:
    text = run("Pooling")
    assert "pooling_param" in text
    assert "default MAX" in text
    assert "MAX | AVE | STOCHASTIC" in text


def test_type_in_other_letters_is_understood() -> None:
    assert run("innerproduct").startswith("InnerProduct\n")


def test_unknown_type_names_the_nearest() -> None:
    done = CliRunner().invoke(main, ["layers", "Poolin"])
    assert done.exit_code == 1
    assert 'did you mean "Pooling"?' in done.stderr
