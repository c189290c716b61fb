"""Trainings recorded from real Caffe, repeated batch by batch."""

from __future__ import annotations

import numpy as np
import pytest

from protonet.solvers.events import IterationDone

from .golden_run import CASES, GoldenRun

SNAPSHOTS = [
    (case, end)
    for case in CASES
    for end in (".solverstate", ".solverstate.h5")
    if list((GoldenRun(case).folder).glob(f"snapshot_iter_*{end}"))
]


@pytest.fixture
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> GoldenRun:
    run = GoldenRun(request.param)
    monkeypatch.chdir(run.folder)
    return run


@pytest.mark.parametrize("run", CASES, indirect=True)
def test_every_iteration_gives_what_caffe_gives(run: GoldenRun) -> None:
    solver = run.solver()
    done: list[IterationDone] = []
    solver.on_iteration(done.append)
    tolerance = {"rtol": run.meta["rtol"], "atol": run.meta["atol"]}
    for t in range(1, run.iterations + 1):
        run.feed(solver, t)
        solver.step(1)
        np.testing.assert_allclose(done[-1].loss, run.arrays[f"loss/{t}"], **tolerance)
        np.testing.assert_allclose(done[-1].lr, run.arrays[f"lr/{t}"], rtol=1e-6)
        run.compare(solver, t)


@pytest.mark.parametrize(("run", "end"), SNAPSHOTS, indirect=["run"])
def test_a_snapshot_of_caffe_is_continued_as_caffe_continues_it(run: GoldenRun, end: str) -> None:
    solver = run.solver()
    solver.restore(f"snapshot_iter_{run.snapshot}{end}")
    assert solver.iter == run.snapshot
    run.compare(solver, run.snapshot)
    for t in range(run.snapshot + 1, run.iterations + 1):
        run.feed(solver, t)
        solver.step(1)
        run.compare(solver, t)
