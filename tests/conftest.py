"""What all tests may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


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
