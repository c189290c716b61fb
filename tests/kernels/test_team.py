"""The team of threads that shares the kernels' loops."""

from __future__ import annotations

import os
import sys
import threading

import numpy as np
import pytest

from protonet import kernels


def product(seed: int, size: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Returns A B by the kernel, and by numpy."""
    a, b = np.random.default_rng(seed).normal(size=(2, size, size))
    made = np.zeros_like(a)
    kernels.matmul(
        a=a, b=b, c=made, m=size, n=size, k=size, a_row=size, a_column=1, b_row=size, b_column=1,
        c_row=size, beta=0,
    )  # fmt: skip
    return made, a @ b


@pytest.fixture(params=[1, 2, 5])
def threads(request: pytest.FixtureRequest):
    before = kernels.threads()
    kernels.choose_threads(request.param)
    yield request.param
    kernels.choose_threads(before)


def test_loops_are_done_whole_whatever_the_number_of_threads(threads: int) -> None:
    assert kernels.threads() == threads
    for seed in range(20):
        made, expected = product(seed)
        np.testing.assert_allclose(made, expected, atol=1e-9)


def test_callers_in_several_threads_do_not_disturb_each_other(threads: int) -> None:
    wrong: list[int] = []

    def work(first: int) -> None:
        kernels.choose_threads(threads)
        for seed in range(first, first + 20):
            made, expected = product(seed, 200)
            if not np.allclose(made, expected, atol=1e-9):
                wrong.append(seed)

    callers = [threading.Thread(target=work, args=[100 * index]) for index in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_the_number_of_threads_is_each_callers_own() -> None:
    mine = kernels.threads()
    theirs: list[int] = []

    def work() -> None:
        kernels.choose_threads(mine + 3)
        theirs.append(kernels.threads())

    caller = threading.Thread(target=work)
    caller.start()
    caller.join()
    assert theirs == [mine + 3]
    assert kernels.threads() == mine


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_process_makes_a_team_of_its_own(threads: int) -> None:
    product(0)
    child = os.fork()
    if child == 0:
        made, expected = product(1)
        os._exit(0 if np.allclose(made, expected, atol=1e-9) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
