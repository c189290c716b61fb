"""A recorded training of Caffe's: its solver, the batches it saw, and all it computed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from protonet.solvers import Solver

FOLDER = Path(__file__).parents[1] / "golden" / "solvers"
CASES = sorted(folder.name for folder in FOLDER.iterdir())


class GoldenRun:
    """One case; the working directory must be its folder."""

    def __init__(self, case: str) -> None:
        self.folder = FOLDER / case
        with np.load(self.folder / "run.npz") as stored:
            self.arrays = {name: stored[name] for name in stored.files}
        self.meta = json.loads(str(self.arrays["meta"]))
        self.iterations: int = self.meta["iters"]
        self.passes: int = self.meta["iter_size"]
        self.snapshot: int | None = self.meta["snapshot_iter"]

    def solver(self) -> Solver:
        """Makes the solver with the recorded initial parameters."""
        solver = Solver("solver.prototxt")
        for name, blobs in solver.net.params.items():
            for index, blob in enumerate(blobs):
                blob.data[...] = self.arrays[f"init/{name}/{index}"]
        return solver

    def feed(self, solver: Solver, t: int) -> None:
        """Lets iteration t (from 1) see the batches that were recorded, pass by pass."""
        net, passes = solver.net, iter(range(self.passes))
        run_forward = type(net).run_forward

        def fed(*bounds: int) -> float:
            key = f"data/{t}.{next(passes)}" if self.passes > 1 else f"data/{t}"
            for name in net.inputs:
                net.blobs[name].data[...] = self.arrays[f"{key}/{name}"]
            return run_forward(net, *bounds)

        net.run_forward = fed  # type: ignore[method-assign]

    def compare(self, solver: Solver, t: int) -> None:
        """Asserts that the parameters are what Caffe had after iteration t."""
        for name, blobs in solver.net.params.items():
            for index, blob in enumerate(blobs):
                want = self.arrays[f"after/{t}/{name}/{index}"]
                assert blob.shape == want.shape
                np.testing.assert_allclose(
                    blob.data, want, rtol=self.meta["rtol"], atol=self.meta["atol"],
                    err_msg=f"{name}/{index} after iteration {t}",
                )  # fmt: skip
