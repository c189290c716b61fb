"""Batches made ahead by worker threads."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from protonet.data.prefetch import Prefetcher


class Numbers:
    """Makes its batch's number, later batches faster than earlier ones; fails at one of them."""

    def __init__(self, fails_at: int = -1) -> None:
        self.fails_at = fails_at
        self.closed: list[int] = []

    def make(self, number: int, spare: list[int] | None) -> list[int]:
        time.sleep(0.003 * (3 - number % 4))
        if number == self.fails_at:
            raise ValueError(f"number {number}")
        return [number]

    def close(self) -> None:
        self.closed.append(1)


def data_threads() -> int:
    return sum(thread.name == "protonet-data" for thread in threading.enumerate())


def wait_until(happens: Callable[[], bool]) -> None:
    """However busy the machine is."""
    deadline = time.monotonic() + 300
    while not happens():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.001)


def is_full(prefetcher: Prefetcher[Any]) -> bool:
    """Says whether the workers rest because nothing more is wanted."""
    with prefetcher._desk.lock:
        return not prefetcher._desk._filling and not prefetcher._desk._making


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_come_in_order_whoever_makes_them(workers: int) -> None:
    prefetcher = Prefetcher(Numbers, depth=4, workers=workers)
    assert [prefetcher.next() for _ in range(20)] == [[number] for number in range(20)]
    prefetcher.close()


def test_one_worker_makes_batches_alone_while_the_consumer_never_waits() -> None:
    both = threading.Barrier(2)
    together: list[int] = []
    running: set[int] = set()

    class Counting(Numbers):
        def make(self, number: int, spare: list[int] | None) -> list[int]:
            running.add(number)
            if number < 2:
                both.wait(300)  # for the first batch the consumer has to wait
            time.sleep(0.002)
            together.append(len(running))
            running.remove(number)
            return [number]

    prefetcher = Prefetcher(Counting, depth=8, workers=2)
    assert prefetcher.next() == [0]
    wait_until(lambda: is_full(prefetcher))
    together.clear()
    for _ in range(5):
        prefetcher.next()
    wait_until(lambda: len(together) >= 4)
    prefetcher.close()
    assert max(together) == 1


def test_only_so_many_batches_are_made_ahead_and_more_when_half_are_used() -> None:
    made: list[int] = []

    class Counting(Numbers):
        def make(self, number: int, spare: list[int] | None) -> list[int]:
            made.append(number)
            return [number]

    prefetcher = Prefetcher(Counting, depth=4, workers=2)
    for expected in (4, 4, 6):
        wait_until(lambda: len(made) >= expected and is_full(prefetcher))  # noqa: B023
        time.sleep(0.02)  # and no more
        assert sorted(made) == list(range(expected))
        prefetcher.next()
    prefetcher.close()


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_comes_in_its_turn_and_stays(workers: int) -> None:
    prefetcher = Prefetcher(lambda: Numbers(fails_at=2), depth=4, workers=workers)
    assert [prefetcher.next(), prefetcher.next()] == [[0], [1]]
    for _ in range(2):
        with pytest.raises(ValueError, match="number 2"):
            prefetcher.next()
    prefetcher.close()


def test_a_maker_that_cannot_be_opened_is_an_error_of_the_first_batch() -> None:
    def fail() -> Numbers:
        raise ValueError("no source")

    prefetcher = Prefetcher(fail)
    with pytest.raises(ValueError, match="no source"):
        prefetcher.next()
    prefetcher.close()


def test_memory_is_used_again() -> None:
    class Reusing(Numbers):
        def make(self, number: int, spare: list[int] | None) -> list[int]:
            return [number] if spare is None else spare

    prefetcher = Prefetcher(Reusing, depth=1)
    first = prefetcher.next()
    while (batch := prefetcher.next()) is not first:
        prefetcher.recycle(first)
    assert batch is first
    prefetcher.close()


def test_closing_stops_the_workers_and_closes_what_they_read() -> None:
    makers: list[Numbers] = []

    def make() -> Numbers:
        makers.append(Numbers())
        return makers[-1]

    before = data_threads()
    prefetcher = Prefetcher(make, depth=4, workers=3)
    prefetcher.next()
    prefetcher.close()
    prefetcher.close()
    assert data_threads() <= before
    assert all(maker.closed == [1] for maker in makers)
    with pytest.raises(RuntimeError, match="closed"):
        prefetcher.next()


def test_a_prefetcher_that_nobody_holds_stops_by_itself() -> None:
    before = data_threads()
    prefetcher = Prefetcher(Numbers, workers=2)
    prefetcher.next()
    gone = weakref.ref(prefetcher)
    del prefetcher
    gc.collect()
    assert gone() is None
    wait_until(lambda: data_threads() <= before)


@pytest.mark.parametrize(
    "end", ["", "raise SystemExit(3)", "os.kill(os.getpid(), signal.SIGINT); time.sleep(9)"]
)
def test_the_interpreter_ends_at_once_while_workers_run(end: str) -> None:
    program = f"""
import os, signal, sys, threading, time
from protonet.data.prefetch import Prefetcher
both = threading.Barrier(2)
class Slow:
    def __init__(self): both.wait()
    def make(self, number, spare):
        time.sleep(0.05)
        return number
    def close(self): sys.stdout.write("closed\\n")
prefetcher = Prefetcher(Slow, depth=100, workers=2)
prefetcher.next()
{end}
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False
    )
    assert run.stdout == "closed\nclosed\n"
    assert "Fatal" not in run.stderr
