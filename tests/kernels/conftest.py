"""Each kernel test runs on every instruction set that this machine has."""

import pytest

from protonet import kernels


def available() -> list[str]:
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


@pytest.fixture(params=available())
def isa(request):
    before = kernels.isa()
    kernels.choose_isa(request.param)
    yield request.param
    kernels.choose_isa(before)
