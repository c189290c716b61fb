"""kill -9 at any instant costs at most the work since the last snapshot."""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import random
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from small_training import train_on, write_small, write_solver

import protonet.layers
from protonet.net import Net
from protonet.solvers.snapshots import newest_sound

KILLS = 50


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes processes quickly: forked from one that has all modules, and no threads, already."""
    tests = str(Path(__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", tests + os.pathsep + os.environ.get("PYTHONPATH", ""))
    context = multiprocessing.get_context("forkserver")
    layers = [module.name for module in pkgutil.iter_modules(protonet.layers.__path__)]
    context.set_forkserver_preload(
        ["small_training", *(f"protonet.layers.{name}" for name in layers)]
    )
    return context


def test_a_training_that_is_killed_again_and_again_ends_where_one_that_is_not_ends(
    folder: Path, processes: Any
) -> None:
    """A snapshot follows each iteration. Every other kill comes as soon as an unfinished file is
    seen, the others some snapshots and a moment later."""
    write_small(folder, momentum=0.9, snapshot=1, max_iter=10**6)
    moments = random.Random(5)
    reached = [0]
    unfinished = 0
    for number in range(KILLS):
        process = processes.Process(target=train_on, args=(str(folder),))
        before = names()
        process.start()
        if number % 2:
            wait_for(process, partial(writes, before))
        else:
            wanted = reached[-1] + moments.randint(1, 8)
            wait_for(process, partial(has_come_to, wanted))
            time.sleep(moments.uniform(0, 0.004))
        process.kill()
        process.join()
        unfinished += writes(before)
        found, rejected = newest_sound("snapshots/small")
        assert rejected == [], "what has its final name is whole"
        reached.append(iteration_of(found))
    assert reached == sorted(reached)
    assert unfinished, "some kill must have come while a file was written"
    last = reached[-1] + 3
    assert last > KILLS // 2
    write_solver(folder, "end.prototxt", momentum=0.9, max_iter=last)
    straight = {"snapshot_prefix": "snapshots/straight"}
    write_solver(folder, "straight.prototxt", momentum=0.9, max_iter=last, **straight)
    for solver in ("end.prototxt", "straight.prototxt"):
        process = processes.Process(target=train_on, args=(str(folder), solver))
        process.start()
        process.join()
        assert process.exitcode == 0
    killed, whole = (
        Net("net.prototxt", 0, weights=f"snapshots/{name}_iter_{last}.caffemodel")
        for name in ("small", "straight")
    )
    for name, blobs in whole.params.items():
        for blob, other in zip(blobs, killed.params[name], strict=True):
            assert blob.data.tobytes() == other.data.tobytes()


def names() -> set[str]:
    return set(os.listdir("snapshots"))


def writes(before: set[str]) -> bool:
    """Says whether an unfinished file is there that was not there before."""
    return any(name.endswith(".tmp") for name in names() - before)


def has_come_to(wanted: int) -> bool:
    return any(iteration_of(name) >= wanted for name in names() if name.endswith("state"))


def wait_for(process: Any, happens: Callable[[], bool]) -> None:
    """Returns as soon as it happens; a process that does not come that far is a failure."""
    while not happens():
        assert process.is_alive(), f"the training has ended: exit code {process.exitcode}"
        time.sleep(0.0002)


def iteration_of(state: str | None) -> int:
    return int(re.findall(r"_iter_(\d+)", state)[0]) if state else 0
