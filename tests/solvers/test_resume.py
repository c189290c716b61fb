"""A resumed run goes on bit for bit as if it had never stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from small_training import RULE_FIELDS, write_small, write_solver

from protonet import kernels
from protonet.solvers import Solver
from protonet.solvers.events import IterationDone, NetTested
from protonet.solvers.run_state import net_state


def bits(solver: Solver) -> list[bytes]:
    """All weights and all of the rule's state."""
    weights = [blob.data.tobytes() for blobs in solver.net.params.values() for blob in blobs]
    return weights + [array.tobytes() for array in solver.updater.history]


def values(tests: list[NetTested]) -> list[list[list[float]]]:
    return [[output.values.tolist() for output in test.outputs] for test in tests]


@pytest.mark.parametrize("snapshot_format", ["BINARYPROTO", "HDF5"])
@pytest.mark.parametrize("rule", RULE_FIELDS)
def test_half_and_half_is_the_same_as_straight(
    folder: Path, rule: str, snapshot_format: str
) -> None:
    path = write_small(
        folder, type=rule, snapshot=9, snapshot_format=snapshot_format, average_loss=5,
        test_iter=4, test_interval=6, **RULE_FIELDS[rule],
    )  # fmt: skip
    straight = Solver(path)
    losses: list[IterationDone] = []
    tests: list[NetTested] = []
    straight.on_iteration(losses.append)
    straight.on_test(tests.append)
    straight.solve()
    resumed = Solver(path)
    later: list[IterationDone] = []
    later_tests: list[NetTested] = []
    resumed.on_iteration(later.append)
    resumed.on_test(later_tests.append)
    end = ".h5" if snapshot_format == "HDF5" else ""
    resumed.solve(f"snapshots/small_iter_9.solverstate{end}")
    assert later == losses[9:]
    assert values(later_tests) == values([t for t in tests if t.iteration > 9])
    assert bits(resumed) == bits(straight)
    for net, other in zip(
        (resumed.net, *resumed.test_nets), (straight.net, *straight.test_nets), strict=True
    ):
        assert net_state(net) == net_state(other)


@pytest.mark.parametrize("snapshot_format", ["BINARYPROTO", "HDF5"])
def test_plateau_goes_on_where_it_was(folder: Path, snapshot_format: str) -> None:
    path = write_small(
        folder, lr_policy="plateau", gamma=0.5, plateau_winsize=[3, 4, 2], snapshot=9,
        snapshot_format=snapshot_format,
    )  # fmt: skip
    straight = Solver(path)
    rates: list[float] = []
    straight.on_iteration(lambda event: rates.append(event.lr))
    straight.solve()
    assert rates[9] != rates[-1], "a step must follow the snapshot for this test to tell"
    resumed = Solver(path)
    later: list[float] = []
    resumed.on_iteration(lambda event: later.append(event.lr))
    end = ".h5" if snapshot_format == "HDF5" else ""
    resumed.solve(f"snapshots/small_iter_9.solverstate{end}")
    assert later == rates[9:]
    assert resumed.rate.minimum_loss == straight.rate.minimum_loss


def test_a_run_without_a_seed_is_resumed_exactly_too(folder: Path) -> None:
    path = write_small(folder, snapshot=5, momentum=0.9, max_iter=10, random_seed=None)
    straight = Solver(path)
    straight.solve()
    resumed = Solver(path)
    resumed.solve("snapshots/small_iter_5.solverstate")
    assert bits(resumed) == bits(straight)


def test_the_number_of_threads_may_change_in_between(folder: Path) -> None:
    path = write_small(folder, snapshot=5, momentum=0.9, max_iter=10)
    before = kernels.threads()
    try:
        kernels.choose_threads(1)
        straight = Solver(path)
        straight.solve()
        kernels.choose_threads(2)
        resumed = Solver(path)
        resumed.solve("snapshots/small_iter_5.solverstate")
    finally:
        kernels.choose_threads(before)
    assert bits(resumed) == bits(straight)


PICTURES = """
name: "pictures"
layer { name: "data" type: "ImageData" top: "x" top: "label"
  image_data_param { source: "pictures.txt" batch_size: 4 shuffle: true rand_skip: 5 }
  transform_param { crop_size: 6 mirror: true scale: 0.01 mean_value: 100 max_rotation: 20
    random_resize_param { min_size: 7 max_size: 11 }
    distort_param { brightness_prob: 0.5 brightness_delta: 20 contrast_prob: 0.5
      contrast_lower: 0.5 contrast_upper: 1.5 hue_prob: 0.5 hue_delta: 18 saturation_prob: 0.5
      saturation_lower: 0.5 saturation_upper: 1.5 } } }
layer { name: "ip1" type: "InnerProduct" bottom: "x" top: "a"
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
layer { name: "drop" type: "Dropout" bottom: "a" top: "a" }
layer { name: "ip2" type: "InnerProduct" bottom: "a" top: "y"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "label" top: "loss" }
"""


@pytest.mark.parametrize("rule", RULE_FIELDS)
def test_augmented_pictures_go_on_where_they_were_with_other_threads(
    folder: Path, rule: str
) -> None:
    random = np.random.default_rng(4)
    for index in range(7):
        pixels = random.integers(0, 256, (9, 8, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(f"{index}.png")
    Path("pictures.txt").write_text("".join(f"{index}.png {index % 3}\n" for index in range(7)))
    path = write_small(
        folder, net=PICTURES, type=rule, snapshot=5, max_iter=10, **RULE_FIELDS[rule]
    )
    before = kernels.threads()
    solvers = []
    try:
        for threads, state in ((1, None), (3, "snapshots/small_iter_5.solverstate")):
            kernels.choose_threads(threads)
            solver = Solver(path)
            losses: list[IterationDone] = []
            solver.on_iteration(losses.append)
            solver.solve(state)
            solver.close()
            solvers.append((bits(solver), losses[-5:]))
    finally:
        kernels.choose_threads(before)
    assert len({loss.loss for loss in solvers[0][1]}) == 5, "batches must differ for this to tell"
    assert solvers[0] == solvers[1]


def test_a_run_that_is_stopped_goes_on_exactly(folder: Path) -> None:
    path = write_small(folder, momentum=0.9)
    straight = Solver(path)
    straight.solve()
    stopped = Solver(path)

    @stopped.on_iteration
    def stop(event: IterationDone) -> None:
        if event.iteration == 6:
            stopped.stop()

    stopped.solve()
    assert stopped.stopped
    assert stopped.iter == 7
    assert stopped.last_snapshot is not None
    resumed = Solver(path)
    resumed.solve(stopped.last_snapshot.state)
    assert bits(resumed) == bits(straight)


def test_a_test_that_is_interrupted_is_made_again_from_its_beginning(folder: Path) -> None:
    path = write_small(folder, test_iter=4, test_interval=5)
    straight = Solver(path)
    tests: list[NetTested] = []
    straight.on_test(tests.append)
    straight.solve()
    stopped = Solver(path)
    test_net, batches = stopped.test_nets[0], []
    run_forward = test_net.run_forward

    def counted(*bounds: int) -> float:
        batches.append(stopped.iter)
        if batches.count(5) == 2:
            stopped.stop()
        return run_forward(*bounds)

    test_net.run_forward = counted  # type: ignore[method-assign]
    interrupted: list[NetTested] = []
    stopped.on_test(interrupted.append)
    stopped.solve()
    assert interrupted[-1].interrupted
    assert stopped.iter == 5
    resumed = Solver(path)
    again: list[NetTested] = []
    resumed.on_test(again.append)
    resumed.solve("snapshots/small_iter_5.solverstate")
    assert values(again) == values([t for t in tests if t.iteration >= 5])


def test_a_state_without_our_fields_still_resumes_weights_history_and_iteration(
    folder: Path,
) -> None:
    from protonet.ir.protonet_pb2 import SolverState

    path = write_small(folder, snapshot=5, max_iter=5, momentum=0.9)
    solver = Solver(path)
    solver.solve()
    state = Path("snapshots/small_iter_5.solverstate")
    message = SolverState.FromString(state.read_bytes())
    for field in ("net_run_state", "recent_loss", "learned_net_crc32", "learned_net_bytes"):
        message.ClearField(field)
    message.ClearField("crc32")
    state.write_bytes(message.SerializeToString())
    resumed = Solver(path)
    resumed.restore(state)
    assert resumed.iter == 5
    assert bits(resumed) == bits(solver)


def test_a_moved_snapshot_finds_its_weights_beside_it(folder: Path) -> None:
    path = write_small(folder, snapshot=5, max_iter=5)
    solver = Solver(path)
    solver.solve()
    (folder / "snapshots").rename(folder / "elsewhere")
    resumed = Solver(path)
    resumed.restore("elsewhere/small_iter_5.solverstate")
    assert bits(resumed) == bits(solver)


def test_step_by_step_is_the_same_as_all_at_once(folder: Path) -> None:
    path = write_small(folder, momentum=0.9)
    at_once, single = Solver(path), Solver(path)
    at_once.step(8)
    for _ in range(8):
        single.step()
    assert bits(single) == bits(at_once)


def test_the_change_is_in_the_diff_after_a_step(folder: Path) -> None:
    solver = Solver(write_small(folder))
    solver.step(3)
    weight = solver.net.params["ip1"][0]
    before = weight.data.copy()
    solver.step(2)
    now = weight.data.copy()
    solver.step(1)
    np.testing.assert_array_equal(weight.data, now - weight.diff)
    assert not np.array_equal(before, now)


def test_other_learning_rates_may_follow(folder: Path) -> None:
    write_small(folder, snapshot=5, max_iter=5)
    Solver("solver.prototxt").solve()
    resumed = Solver(write_solver(folder, base_lr=0.001, max_iter=8))
    rates: list[float] = []
    resumed.on_iteration(lambda event: rates.append(event.lr))
    resumed.solve("snapshots/small_iter_5.solverstate")
    assert rates == pytest.approx([0.001] * 3)
