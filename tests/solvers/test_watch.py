"""Training that diverges stops and says where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_training import NET, write_small, write_solver

from protonet import Error
from protonet.solvers import Solver


def diverged(solver: Solver, iterations: int = 50) -> Error:
    with pytest.raises(Error) as caught:
        solver.step(iterations)
    return caught.value


def test_a_rate_that_is_too_high_is_blamed(folder: Path) -> None:
    euclidean = NET.replace('"SoftmaxWithLoss" bottom: "y"', '"EuclideanLoss" bottom: "one"')
    euclidean = euclidean.replace(
        'layer { name: "loss"',
        'layer { name: "ip3" type: "InnerProduct" bottom: "y" top: "one" '
        'inner_product_param { num_output: 1 weight_filler { type: "xavier" } } }\n'
        'layer { name: "loss"',
    )
    solver = Solver(write_small(folder, net=euclidean, base_lr=1e15))
    error = diverged(solver)
    (found,) = error.diagnostics
    assert found.code in ("E420", "E421")
    assert f"iteration {solver.iter}" in found.message
    assert "learning rate (1e+15) is probably too high" in found.help
    assert any("first that is not finite" in note for note in found.notes)
    assert "there is no snapshot yet" in found.notes


def test_the_layer_that_made_the_first_bad_value_is_named_with_its_place(folder: Path) -> None:
    solver = Solver(write_small(folder))
    solver.net.params["ip2"][1].data[0] = np.nan
    error = diverged(solver)
    (found,) = error.diagnostics
    assert found.code == "E420"
    assert found.message == "iteration 0: the loss is not a number"
    assert found.notes[0] == 'top "y" is the first that is not finite: layer "ip2" (InnerProduct)'
    assert (found.spans[0].file, found.spans[0].line) == ("net.prototxt", 15)


def test_bad_data_is_blamed_on_the_layer_that_reads_it(folder: Path) -> None:
    import h5py

    path = write_small(folder)
    with h5py.File("data.h5", "a") as stored:
        stored["x"][:, 2] = np.inf
    (found,) = diverged(Solver(path)).diagnostics
    assert 'what layer "data" reads' in found.help


def test_a_bad_gradient_is_found_although_the_loss_is_finite(folder: Path) -> None:
    solver = Solver(write_small(folder))
    run_backward = solver.net.run_backward

    def spoiled(*bounds: int) -> None:
        run_backward(*bounds)
        solver.net.blobs["y"].diff[0, 0] = np.inf
        solver.net.params["ip2"][0].diff[0, 0] = np.inf

    solver.net.run_backward = spoiled  # type: ignore[method-assign]
    (found,) = diverged(solver).diagnostics
    assert found.code == "E421"
    assert 'parameter 0 of layer "ip2"' in found.message
    assert 'the gradient of bottom "y"' in found.notes[0]


def test_unscaled_inputs_are_blamed(folder: Path) -> None:
    image = """
name: "image"
layer { name: "data" type: "DummyData" top: "x" top: "label"
  dummy_data_param { shape { dim: 4 dim: 3 dim: 5 dim: 5 } shape { dim: 4 dim: 2 }
    data_filler { type: "uniform" min: 0 max: 255 } data_filler { type: "constant" value: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "label" top: "loss" }
"""
    (found,) = diverged(Solver(write_small(folder, net=image, base_lr=10))).diagnostics
    assert "the inputs reach 25" in found.help
    assert "scale: 0.00390625" in found.help


ALL_OF_CLASS_0 = NET.replace(
    'bottom: "y" bottom: "label" top: "loss"', 'bottom: "y" bottom: "zero" top: "loss"'
).replace(
    'layer { name: "loss"',
    'layer { name: "l" type: "DummyData" top: "zero" dummy_data_param { shape { dim: 7 } } }\n'
    'layer { name: "mute" type: "Silence" bottom: "label" }\n'
    'layer { name: "loss"',
)


def test_a_softmax_loss_that_is_stuck_at_its_largest_value_is_told(folder: Path) -> None:
    solver = Solver(write_small(folder, net=ALL_OF_CLASS_0, base_lr=0.0))
    solver.net.params["ip2"][1].data[0] = -1e4
    (found,) = diverged(solver, 150).diagnostics
    assert found.code == "E422"
    assert found.message.startswith("iteration 99: the loss is stuck at 87.3365")
    assert found.notes[0] == 'layer "loss" (SoftmaxWithLoss)'
    assert "lower base_lr" in found.help


def test_a_softmax_loss_may_begin_at_its_largest_value(folder: Path) -> None:
    solver = Solver(write_small(folder, net=ALL_OF_CLASS_0, base_lr=0.0))
    for _ in range(2):
        solver.net.params["ip2"][1].data[0] = -1e4
        solver.step(80)
        solver.net.params["ip2"][1].data[0] = 0
        solver.step(1)
    assert solver.iter == 162


def test_a_loss_above_the_solvers_limit_stops_it(folder: Path) -> None:
    solver = Solver(write_small(folder, loss_limit=0.5))
    (found,) = diverged(solver).diagnostics
    assert found.code == "E423"
    assert found.message.endswith("above loss_limit (0.5)")


def test_a_gradient_above_the_solvers_limit_stops_it(folder: Path) -> None:
    solver = Solver(write_small(folder, gradient_limit=1e-3))
    (found,) = diverged(solver).diagnostics
    assert found.code == "E424"
    assert found.message.endswith("above gradient_limit (0.001)")
    assert solver.iter == 0
    Solver(write_solver(folder, gradient_limit=1e6)).step(5)


@pytest.mark.parametrize("bad", [1.0, np.inf, np.nan])
def test_weights_are_still_sound_when_a_gradient_has_passed_the_limit(
    folder: Path, bad: float
) -> None:
    solver = Solver(write_small(folder, gradient_limit=100, momentum=0.9))
    solver.step(2)
    learned = [blob for name in ("ip1", "ip2") for blob in solver.net.params[name]]
    before = [blob.data.copy() for blob in learned]
    history = [array.copy() for array in solver.updater.history]
    solver.add_callback(
        lambda: None, lambda: solver.net.params["ip2"][0].diff.__setitem__(..., bad * 1e3)
    )
    (found,) = diverged(solver).diagnostics
    assert found.code == "E424"
    assert solver.iter == 2
    for blob, old in zip(learned, before, strict=True):
        np.testing.assert_array_equal(blob.data, old)
    for array, old in zip(solver.updater.history, history, strict=True):
        np.testing.assert_array_equal(array, old)


def test_the_last_snapshot_is_named(folder: Path) -> None:
    solver = Solver(write_small(folder, snapshot=2))
    solver.step(2)
    solver.net.params["ip1"][0].data[...] = np.nan
    (found,) = diverged(solver).diagnostics
    assert "the last snapshot is snapshots/small_iter_2.solverstate" in found.notes


def test_without_watching_training_goes_on_as_in_caffe(folder: Path) -> None:
    solver = Solver(write_small(folder))
    solver.watch_numbers = False
    solver.net.params["ip1"][0].data[...] = np.nan
    solver.step(3)
    assert solver.iter == 3
