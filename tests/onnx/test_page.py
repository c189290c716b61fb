"""docs/onnx.md says what the code does, and no layer type is forgotten."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from protonet.layers.registry import layer_types
from protonet.onnx.exporting.registry import REFUSED, layer_writers
from protonet.onnx.importing.registry import UNREADABLE, node_readers

pytest.importorskip("onnx")


def test_the_page_is_what_the_code_says() -> None:
    tool = Path(__file__).parents[2] / "tools" / "docs" / "onnx_page.py"
    found = subprocess.run([sys.executable, tool, "--check"], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def test_each_layer_type_is_written_or_refused_with_a_reason() -> None:
    assert set(layer_types()) - set(layer_writers()) - set(REFUSED) - {"Input"} == set()


def test_no_operator_is_both_read_and_called_unreadable() -> None:
    assert not set(node_readers()) & set(UNREADABLE)
