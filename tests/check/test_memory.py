"""A net that cannot fit the machine is refused before anything is allocated."""

from __future__ import annotations

import pytest
from checking import Checker, image

from protonet import Error, Net
from protonet.check import memory


def test_net_beyond_the_machine_names_the_layer_and_the_sizes(
    check: Checker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "machine_memory_bytes", lambda: 2 * 10**9)
    text = image(1, 3, 100, 100) + (
        'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" '
        "inner_product_param { num_output: 50000 } }\n"
    )
    with pytest.raises(Error) as caught:
        Net(check.write(text))
    (found,) = caught.value.diagnostics
    assert found.code == "E207"
    assert found.message == "the net needs 6 GB, and this process may use 2 GB"
    assert found.label == "6 GB of it for this layer"
    assert found.notes[0] == 'layer "fc" (InnerProduct)'


def test_double_precision_needs_twice_as_much(
    check: Checker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "machine_memory_bytes", lambda: 30_000)
    file = check.write(image(1, 3, 32, 64))
    Net(file)
    with pytest.raises(Error, match="E207"):
        Net(file, dtype=float)


def test_limit_of_the_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource", reason="only Unix limits a process so")
    before = memory.machine_memory_bytes()
    assert before is not None
    monkeypatch.setattr(resource, "getrlimit", lambda which: (123_456, 123_456))
    assert memory.machine_memory_bytes() == 123_456
