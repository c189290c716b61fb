"""Broken files give diagnostics or load: no other exception, no crash, no waiting, no hunger."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from known_nets import alexnet, resnet50
from mutations import mutated
from short_work import ends_within

from protonet import Error, Net
from protonet.check import memory
from protonet.check.examine import examine
from protonet.prototxt.diagnostics import as_json, render

MODELS = Path(__file__).parent.parent.parent / "models"
MOST_SECONDS = 2.0
MOST_BYTES = 10**9

TEXTS = {
    str(path.relative_to(MODELS)): path.read_text(encoding="utf-8")
    for path in sorted(MODELS.glob("*/*.prototxt"))
}
TEXTS["alexnet"] = alexnet()
TEXTS["resnet"] = "\n".join(resnet50().split("\n")[:40])


@pytest.fixture(scope="module", autouse=True)
def small_machine() -> Iterator[None]:
    """Lets nets use 1 GB, on whatever machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "machine_memory_bytes", lambda: MOST_BYTES)
        yield


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("broken") / "net.prototxt"


def check_gives_diagnostics(file: Path) -> None:
    def check() -> None:
        found = examine(file).diagnostics
        render(found)
        as_json(found)

    assert ends_within(MOST_SECONDS, check)


def net_loads_or_refuses(file: Path, phase: int) -> None:
    def load() -> None:
        with contextlib.suppress(Error):
            net = Net(str(file), phase, seed=1)
            assert memory.memory_bytes(net.graph) <= MOST_BYTES
            net.close()

    assert ends_within(MOST_SECONDS, load)


@given(
    name=st.sampled_from(sorted(TEXTS)),
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 4),
    phase=st.sampled_from((0, 1)),
)
@settings(
    max_examples=250, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
def test_mutated_file_gives_diagnostics_or_loads(
    file: Path, name: str, seed: int, count: int, phase: int
) -> None:
    text = mutated(TEXTS[name], seed, count)
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    check_gives_diagnostics(file)
    net_loads_or_refuses(file, phase)


@given(data=st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
@example(data=b"")
@example(data=b"\x00")
@example(data=b"\xff\xfe")
@example(data=b"{" * 3000)
@example(data=b"layer {" * 3000)
@example(data=b"layer { bottom: 'a' top: 'a' }" * 3000)
@example(data=b"layer { name: '" + b"a" * 100_000 + b"' type: 'ReLU' }")
def test_any_bytes_give_diagnostics_or_load(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    check_gives_diagnostics(file)
    net_loads_or_refuses(file, 0)


def test_file_of_the_zoo_that_is_mutated_gives_diagnostics_or_loads(
    shared: Path, file: Path
) -> None:
    paths = sorted((shared / "zoo").glob("*/*.prototxt"))
    for seed, path in enumerate(paths[::4]):
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        file.write_bytes(mutated(text, seed, 2).encode("utf-8", "surrogateescape"))
        check_gives_diagnostics(file)
