"""What users read about each layer type: whole, true to the schema, and up to date."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from protonet.ir import protonet_pb2
from protonet.layers.explanation import explain
from protonet.layers.registry import layer_class, layer_types

ROOT = Path(__file__).resolve().parents[2]


def test_page_of_layers_is_what_the_layers_say() -> None:
    command = [sys.executable, str(ROOT / "tools" / "docs" / "layer_pages.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("type", layer_types())
def test_text_says_all_that_a_user_asks(type: str) -> None:
    layer, explained = layer_class(type), explain(type)
    assert layer is not None
    assert explained is not None
    wanted = {"Shapes", "Source"}
    if layer.bottoms.most != 0:
        wanted.add("Gradient")
    if explained.groups:
        wanted.add("Parameters")
    if "=" not in explained.sentence and layer.bottoms.most != 0 and layer.tops.most != 0:
        wanted.add("Rules" if "Rules" in explained.sections else "Formula")
    assert wanted <= explained.sections.keys()
    assert all(explained.sections.values())


@pytest.mark.parametrize("type", layer_types())
def test_first_sentence_stands_by_itself(type: str) -> None:
    explained = explain(type)
    assert explained is not None
    assert explained.text.partition("\n")[0].startswith(explained.sentence)  # on one line
    assert explained.text.partition("\n\n")[0].endswith(".")
    assert len(explained.sentence) <= 100
    for left, right in ("()", "[]", "{}"):
        assert explained.sentence.count(left) == explained.sentence.count(right)


@pytest.mark.parametrize("type", layer_types())
def test_parameters_in_the_text_are_in_the_schema(type: str) -> None:
    explained = explain(type)
    assert explained is not None
    named = set(re.findall(r"\b[a-z]+(?:_[a-z0-9]+)+\b", explained.sections.get("Parameters", "")))
    assert named <= _all_names()


@cache
def _all_names() -> set[str]:
    found: set[str] = set()
    for message in protonet_pb2.DESCRIPTOR.message_types_by_name.values():
        found |= set(message.fields_by_name)
    return found
