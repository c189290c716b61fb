"""What the training loop does, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_training import NET, write_small, write_solver

from protonet import Error, SolverParameter
from protonet.net import Net
from protonet.solvers import Solver
from protonet.solvers.events import (
    Displayed,
    Finished,
    GradientsReady,
    IterationDone,
    IterationStarted,
    NetTested,
    SnapshotFailed,
    SnapshotTaken,
)


def recorded(solver: Solver, *kinds: type) -> list[Any]:
    found: list[Any] = []
    solver.listeners.add_for_all(lambda e: found.append(e) if isinstance(e, kinds) else None)
    return found


def test_display_tests_and_snapshots_come_when_they_are_due(folder: Path) -> None:
    solver = Solver(
        write_small(folder, max_iter=12, display=4, snapshot=6, test_iter=2, test_interval=6)
    )
    events = recorded(solver, Displayed, NetTested, SnapshotTaken, Finished)
    solver.solve()
    assert [(type(e).__name__, e.iteration) for e in events] == [
        ("NetTested", 0), ("Displayed", 0), ("Displayed", 4),
        ("SnapshotTaken", 6), ("NetTested", 6), ("Displayed", 8),
        ("SnapshotTaken", 12), ("Displayed", 12), ("NetTested", 12), ("Finished", 12),
    ]  # fmt: skip
    assert events[-3].is_last


def test_no_test_before_training_without_test_initialization(folder: Path) -> None:
    solver = Solver(
        write_small(folder, max_iter=5, test_iter=2, test_interval=4, test_initialization=False)
    )
    events = recorded(solver, NetTested)
    solver.solve()
    assert [e.iteration for e in events] == [4]


def test_the_snapshot_after_training_is_written_unless_it_was_just_due(folder: Path) -> None:
    solver = Solver(write_small(folder, max_iter=5, snapshot=3))
    events = recorded(solver, SnapshotTaken)
    solver.solve()
    assert [e.iteration for e in events] == [3, 5]


def test_no_snapshot_after_training_where_the_solver_forbids_it(folder: Path) -> None:
    solver = Solver(write_small(folder, max_iter=5, snapshot_after_train=False))
    events = recorded(solver, SnapshotTaken)
    solver.solve()
    assert events == []


def test_the_smoothed_loss_is_the_mean_of_the_last_few(folder: Path) -> None:
    solver = Solver(write_small(folder, average_loss=3))
    done: list[IterationDone] = []
    solver.on_iteration(done.append)
    solver.step(5)
    losses = [event.loss for event in done]
    assert done[1].smoothed_loss == pytest.approx(np.mean(losses[:2]))
    assert done[4].smoothed_loss == pytest.approx(np.mean(losses[2:]))


def test_each_step_call_begins_a_new_mean_of_losses(folder: Path) -> None:
    solver = Solver(write_small(folder, average_loss=3))
    done: list[IterationDone] = []
    solver.on_iteration(done.append)
    solver.step(2)
    solver.step(1)
    assert done[-1].smoothed_loss == done[-1].loss


def test_test_outputs_are_means_over_the_batches(folder: Path) -> None:
    solver = Solver(write_small(folder, test_iter=4, test_interval=5, test_compute_loss=True))
    net, losses = solver.test_nets[0], []
    run_forward = net.run_forward

    def kept(*bounds: int) -> float:
        run_forward(*bounds)
        losses.append(float(net.blobs["loss"].data))
        return net.loss

    net.run_forward = kept  # type: ignore[method-assign]
    tested = solver.test()
    assert [output.name for output in tested.outputs] == ["accuracy", "loss"]
    assert tested.outputs[1].values == pytest.approx(np.mean(losses))
    assert tested.outputs[1].loss_weight == 1
    assert tested.loss == pytest.approx(np.mean(losses))


def test_test_nets_share_the_memory_of_the_weights(folder: Path) -> None:
    solver = Solver(write_small(folder, test_iter=[1, 1], test_interval=5))
    assert len(solver.test_nets) == 2
    for net in solver.test_nets:
        for name, blobs in net.params.items():
            for mine, theirs in zip(blobs, solver.net.params[name], strict=True):
                assert np.shares_memory(mine.data, theirs.data)


def test_nets_of_all_kinds_are_put_in_caffes_order(folder: Path) -> None:
    write_small(folder)
    plain = NET.replace('"small"', '"%s"')
    for name in ("a", "b"):
        (folder / f"{name}.prototxt").write_text(plain % name)
    solver = Solver(
        SolverParameter(
            net="net.prototxt", test_net=["a.prototxt", "b.prototxt"], test_iter=[1, 1, 1],
            test_interval=1, lr_policy="fixed", base_lr=0.1,
        )
    )  # fmt: skip
    assert [net.name for net in solver.test_nets] == ["a", "b", "small"]


def test_states_choose_the_layers_of_each_net(folder: Path) -> None:
    extra = 'layer { name: "only" type: "Silence" bottom: "y" include { stage: "extra" } }\n'
    path = write_small(folder, net=NET + extra, test_iter=[1, 1], test_interval=5)
    text = path.read_text() + 'train_state { stage: "extra" }\ntest_state {}\n'
    path.write_text(text + 'test_state { stage: "extra" }\n')
    solver = Solver(path)
    nets = [solver.net, *solver.test_nets]
    assert ["only" in net.layer_names for net in nets] == [True, False, True]


def test_a_solver_with_its_net_inside_runs(folder: Path) -> None:
    write_small(folder)
    text = (folder / "solver.prototxt").read_text().replace('net: "net.prototxt"', "")
    (folder / "solver.prototxt").write_text(f"{text}\nnet_param {{ {NET} }}\n")
    solver = Solver("solver.prototxt")
    solver.step(2)
    assert solver.iter == 2


def test_an_error_in_a_net_inside_a_solver_is_shown_at_its_line(folder: Path) -> None:
    write_small(folder)
    text = (
        'base_lr: 1\nlr_policy: "fixed"\nnet_param {\n  layer { name: "a"\n    type: "Foo" }\n}\n'
    )
    (folder / "solver.prototxt").write_text(text)
    with pytest.raises(Error, match=r"solver.prototxt:5:11: error\[E101\]"):
        Solver("solver.prototxt")


def test_the_old_form_of_the_type_is_understood(folder: Path) -> None:
    path = write_small(folder)
    path.write_text(path.read_text() + "solver_type: ADAM\nmomentum: 0.9\n")
    solver = Solver(path)
    assert solver.param.type == "Adam"
    solver.step(1)


def test_the_same_seed_gives_the_same_bits(folder: Path) -> None:
    path = write_small(folder, momentum=0.9)
    first, second = Solver(path), Solver(path)
    for solver in (first, second):
        solver.step(5)
    for name, blobs in first.net.params.items():
        for mine, theirs in zip(blobs, second.net.params[name], strict=True):
            assert mine.data.tobytes() == theirs.data.tobytes()


def test_without_a_seed_each_run_is_another(folder: Path) -> None:
    path = write_small(folder, random_seed=-1)
    first, second = Solver(path), Solver(path)
    a, b = (solver.net.params["ip1"][0].data for solver in (first, second))
    assert not np.array_equal(a, b)


def test_weights_are_loaded_from_the_solvers_own_list_and_arguments_win(folder: Path) -> None:
    path = write_small(folder)
    for name, value in (("one", 1.0), ("two", 2.0)):
        net = Net("net.prototxt", 0)
        net.params["ip1"][0].data[...] = value
        net.save(f"{name}.caffemodel")
    write_solver(folder, weights="one.caffemodel,two.caffemodel")
    assert Solver(path).net.params["ip1"][0].data.flat[0] == 2
    chosen = Solver(path, weights="one.caffemodel")
    assert chosen.net.params["ip1"][0].data.flat[0] == 1
    assert Solver(path, weights=()).net.params["ip1"][0].data.flat[0] not in (1, 2)


def test_gradients_of_iter_size_batches_make_one_update(folder: Path) -> None:
    solver = Solver(write_small(folder, iter_size=3))
    events = recorded(solver, IterationStarted, GradientsReady, IterationDone)
    passes: list[int] = []
    run_backward = solver.net.run_backward
    solver.net.run_backward = lambda *b: (passes.append(solver.iter), run_backward(*b))[1]  # type: ignore[method-assign]
    solver.step(2)
    assert passes == [0, 0, 0, 1, 1, 1]
    assert [type(e).__name__ for e in events[:3]] == [
        "IterationStarted", "GradientsReady", "IterationDone",
    ]  # fmt: skip


def test_gradients_can_be_changed_before_the_update(folder: Path) -> None:
    solver = Solver(write_small(folder))
    before = solver.net.params["ip1"][0].data.copy()

    def forget(event: GradientsReady) -> None:
        solver.net.params["ip1"][0].diff[...] = 0

    solver.listeners.add(GradientsReady, forget)
    solver.step(1)
    np.testing.assert_array_equal(solver.net.params["ip1"][0].data, before)


def test_own_passes_and_apply_update_make_the_step_that_step_makes(folder: Path) -> None:
    path = write_small(folder, momentum=0.9)
    usual, own = Solver(path), Solver(path)
    usual.step(2)
    for _ in range(2):
        own.net.clear_param_diffs()
        own.net.forward()
        own.net.backward()
        own.apply_update()
    assert own.iter == 2
    for mine, theirs in zip(own.net.learnable_params, usual.net.learnable_params, strict=True):
        assert mine.data.tobytes() == theirs.data.tobytes()


def test_gradients_left_over_from_outside_do_not_count(folder: Path) -> None:
    path = write_small(folder)
    usual, other = Solver(path), Solver(path)
    usual.step(3)
    other.step(1)
    for blob in other.net.learnable_params:
        blob.diff[...] = 1e3
    other.step(2)
    for mine, theirs in zip(other.net.learnable_params, usual.net.learnable_params, strict=True):
        assert mine.data.tobytes() == theirs.data.tobytes()


def test_reading_the_rate_under_multistep_takes_a_step_as_in_caffe(folder: Path) -> None:
    solver = Solver(
        write_small(folder, lr_policy="multistep", gamma=0.1, stepvalue=[0, 0, 100], base_lr=1)
    )
    assert [solver.lr, solver.lr, solver.lr] == pytest.approx([0.1, 0.01, 0.01])


def test_debug_info_tells_of_every_layer_once_per_display(folder: Path) -> None:
    solver = Solver(write_small(folder, display=2, debug_info=True))
    lines: list[str] = []
    solver.listeners.add_for_all(lambda e: lines.append(e.text) if hasattr(e, "text") else None)
    solver.step(2)
    told = [line.split()[0] for line in lines]
    assert told.count("[Update]") == 7, "weights and biases, and three of BatchNorm"
    assert sum("[Forward] Layer ip1, top blob a data" in line for line in lines) == 1
    assert sum("[Backward] Layer ip2, param blob 0 diff" in line for line in lines) == 1
    assert sum("All net params (data, diff): L1 norm" in line for line in lines) == 1


def test_debug_info_changes_nothing(folder: Path) -> None:
    plain = Solver(write_small(folder, display=1))
    told = Solver(write_solver(folder, display=1, debug_info=True))
    plain.step(3)
    told.step(3)
    for mine, theirs in zip(told.net.learnable_params, plain.net.learnable_params, strict=True):
        assert mine.data.tobytes() == theirs.data.tobytes()


def test_snapshot_diff_writes_the_changes_too(folder: Path) -> None:
    from protonet.ir.protonet_pb2 import NetParameter

    solver = Solver(write_small(folder, snapshot=2, max_iter=4, snapshot_diff=True))
    solver.step(2)
    net = NetParameter.FromString(Path("snapshots/small_iter_2.caffemodel").read_bytes())
    (layer,) = (layer for layer in net.layer if layer.name == "ip1")
    assert list(layer.blobs[0].diff) == solver.net.params["ip1"][0].diff.ravel().tolist()


def test_a_folder_for_snapshots_that_is_not_there_is_told_before_training(folder: Path) -> None:
    solver = Solver(write_small(folder, snapshot_prefix="nowhere/small"))
    with pytest.raises(Error, match=r"solver.prototxt:5:18: error\[E411\].*no folder nowhere"):
        solver.solve()
    assert solver.iter == 0


def test_training_goes_on_when_a_snapshot_cannot_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    solver = Solver(write_small(folder, snapshot=3, max_iter=9))
    events = recorded(solver, SnapshotFailed, SnapshotTaken, Finished)
    save = solver.net.save

    def full(path: Any, **options: Any) -> None:
        if solver.iter == 6:
            raise Error("no space left on device")
        save(path, **options)

    monkeypatch.setattr(solver.net, "save", full)
    solver.solve()
    assert [(type(e).__name__, e.iteration) for e in events] == [
        ("SnapshotTaken", 3), ("SnapshotFailed", 6), ("SnapshotTaken", 9), ("Finished", 9),
    ]  # fmt: skip


def test_a_state_of_another_rule_is_refused_and_changes_nothing(folder: Path) -> None:
    path = write_small(folder, momentum=0.9, max_iter=3, snapshot=3)
    Solver(path).solve()
    other = Solver(write_solver(folder, type="Adam", momentum=0.9))
    before = other.net.params["ip1"][0].data.copy()
    with pytest.raises(Error, match=r"E412.*7 arrays, but Adam with 7 parameters has 14"):
        other.restore("snapshots/small_iter_3.solverstate")
    np.testing.assert_array_equal(other.net.params["ip1"][0].data, before)
    assert other.iter == 0


def test_stop_from_a_listener_ends_a_step_and_the_next_one_runs(folder: Path) -> None:
    solver = Solver(write_small(folder))
    calls: list[int] = []

    @solver.on_iteration
    def stop_once(event: IterationDone) -> None:
        calls.append(event.iteration)
        if event.iteration == 2:
            solver.stop()

    solver.step(10)
    assert (solver.iter, solver.stopped) == (3, True)
    solver.step(2)
    assert (solver.iter, solver.stopped) == (5, False)


def test_a_requested_snapshot_is_written_and_training_goes_on(folder: Path) -> None:
    solver = Solver(write_small(folder, max_iter=6))
    taken = recorded(solver, SnapshotTaken)
    solver.on_iteration(lambda e: solver.request_snapshot() if e.iteration == 1 else None)
    solver.solve()
    assert [event.iteration for event in taken] == [2, 6]


def test_a_frozen_layer_keeps_its_weights(folder: Path) -> None:
    frozen = NET.replace(
        'name: "ip1" type: "InnerProduct"',
        'name: "ip1" type: "InnerProduct" param { lr_mult: 0 } param { lr_mult: 0 }',
    )
    solver = Solver(write_small(folder, net=frozen, momentum=0.9, weight_decay=0.1))
    before = solver.net.params["ip1"][0].data.copy()
    solver.step(3)
    np.testing.assert_array_equal(solver.net.params["ip1"][0].data, before)


def test_callbacks_stand_around_the_passes(folder: Path) -> None:
    solver = Solver(write_small(folder))
    seen: list[tuple[str, int, bool]] = []

    def note(what: str) -> None:
        has_gradient = any(blob.diff.any() for blob in solver.net.learnable_params)
        seen.append((what, solver.iter, has_gradient))

    solver.add_callback(lambda: note("start"), lambda: note("gradients"))
    solver.step(2)
    assert seen == [
        ("start", 0, False), ("gradients", 0, True), ("start", 1, False), ("gradients", 1, True),
    ]  # fmt: skip


def test_a_callback_may_change_the_gradient(folder: Path) -> None:
    solver = Solver(write_small(folder))
    before = [solver.net.params[name][0].data.copy() for name in ("ip1", "ip2")]

    def erase() -> None:
        solver.net.clear_param_diffs()

    solver.add_callback(lambda: None, erase)
    solver.step(2)
    for name, was in zip(("ip1", "ip2"), before, strict=True):
        np.testing.assert_array_equal(solver.net.params[name][0].data, was)
