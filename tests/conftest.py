"""What all tests may ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from protonet import kernels


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of third-party test material that is not part of the repository: nets of many
    authors (`zoo`), trained models, photographs."""
    folder = os.environ.get("PROTONET_SHARED")
    if not folder:
        pytest.skip("PROTONET_SHARED does not name the folder of third-party test material")
    return Path(folder)


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of reference data."""
    return Path(__file__).parent / "golden"


def _available() -> list[str]:
    best = kernels.isa()
    found = []
    for name in ("avx512", "avx2", "neon", "portable", "scalar"):
        try:
            kernels.choose_isa(name)
        except ValueError:
            continue
        found.append(name)
    kernels.choose_isa(best)
    return found


@pytest.fixture(params=_available())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test on each instruction set that this machine has."""
    before = kernels.isa()
    kernels.choose_isa(request.param)
    yield request.param
    kernels.choose_isa(before)
