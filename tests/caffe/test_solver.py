"""The solver classes: what pycaffe's scripts do with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import protonet.caffe as caffe
from protonet.caffe.solver import Solver

CLASSES = {
    "SGD": caffe.SGDSolver,
    "Nesterov": caffe.NesterovSolver,
    "AdaGrad": caffe.AdaGradSolver,
    "RMSProp": caffe.RMSPropSolver,
    "AdaDelta": caffe.AdaDeltaSolver,
    "Adam": caffe.AdamSolver,
}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOG_minloglevel", "2")


@pytest.fixture
def solver(solver_file: str) -> caffe.SGDSolver:
    made = caffe.SGDSolver(solver_file)
    for net in (made.net, made.test_nets[0]):
        label = net.blobs["label"].data
        label[...] = np.random.default_rng(0).integers(13, size=label.shape)
    return made


def test_solving_ends_at_max_iter(solver: caffe.SGDSolver) -> None:
    assert solver.iter == 0
    solver.step(3)
    assert solver.iter == 3
    solver.solve()
    assert solver.iter == solver.param.max_iter == 20


def test_an_update_applies_the_gradients_that_are_there(solver: caffe.SGDSolver) -> None:
    blob = solver.net.layers[1].blobs[0]
    blob.data[...] = 0
    blob.diff[...] = 1
    assert solver.lr == pytest.approx(0.01)
    solver.apply_update()
    np.testing.assert_allclose(blob.data, -0.01, atol=1e-7)
    assert solver.iter == 1


def test_nets_and_count_of_a_solver_cannot_be_replaced(solver_file: str) -> None:
    solver = caffe.SGDSolver(solver_file)
    for name in ("net", "test_nets", "iter", "param"):
        with pytest.raises(AttributeError):
            setattr(solver, name, None)


def test_nets_outlive_the_solver(solver_file: str) -> None:
    solver = caffe.SGDSolver(solver_file)
    nets = [solver.net, *solver.test_nets]
    del solver
    assert len(nets) == 2
    for net in nets:
        blobs = [*net.blobs.values(), *(b for blobs in net.params.values() for b in blobs)]
        assert all(np.isfinite(blob.data).all() for blob in blobs)
    nets[0].params["ip"][0].data[...] = 5
    assert (nets[1].params["ip"][0].data == 5).all()


def test_a_snapshot_brings_the_solver_back(
    solver: caffe.SGDSolver, solver_file: str, tmp_path: Path
) -> None:
    solver.step(2)
    solver.snapshot()
    assert (tmp_path / "model_iter_2.caffemodel").is_file()
    other = caffe.get_solver(solver_file)
    other.restore(str(tmp_path / "model_iter_2.solverstate"))
    assert other.iter == 2
    np.testing.assert_array_equal(other.net.params["ip"][0].data, solver.net.params["ip"][0].data)
    third = caffe.SGDSolver(solver_file)
    third.solve(str(tmp_path / "model_iter_2.solverstate"))
    assert third.iter == 20


@pytest.mark.parametrize("rule", CLASSES)
def test_get_solver_returns_the_class_of_the_type(solver_file: str, rule: str) -> None:
    path = Path(solver_file)
    text = path.read_text().replace("momentum: 0.9", "momentum: 0" if "Grad" in rule else "")
    path.write_text(f'{text} type: "{rule}"')
    solver = caffe.get_solver(solver_file)
    assert type(solver) is CLASSES[rule]
    assert solver.param.type == rule
    solver.step(1)


def test_rules_that_caffe_does_not_know_have_no_class_of_their_own(solver_file: str) -> None:
    Path(solver_file).write_text(Path(solver_file).read_text() + 'type: "AdamW"')
    solver = caffe.get_solver(solver_file)
    assert type(solver) is Solver
    solver.step(1)


def test_a_class_has_its_own_rule_whatever_the_type(solver_file: str) -> None:
    Path(solver_file).write_text(Path(solver_file).read_text() + 'type: "SGD"')
    adam, sgd = caffe.AdamSolver(solver_file), caffe.SGDSolver(solver_file)
    changes = []
    for solver in (adam, sgd):
        blob = solver.net.params["conv"][0]
        blob.data[...] = 0
        blob.diff[...] = 100
        solver.apply_update()
        changes.append(float(blob.data.ravel()[0]))
    assert changes == pytest.approx([-0.01, -1.0])  # Adam's first step is the rate


def test_parameters_of_the_solver_can_be_changed(solver: caffe.SGDSolver) -> None:
    assert (solver.param.display, solver.param.layer_wise_reduce) == (10, True)
    solver.param.base_lr = 0.5
    assert solver.lr == pytest.approx(0.5)


def test_callbacks_run_around_the_passes(solver: caffe.SGDSolver) -> None:
    seen: list[str] = []
    solver.add_callback(lambda: seen.append("start"), lambda: seen.append("gradients"))
    solver.add_callback("", lambda: seen.append(f"update {solver.iter}"))
    solver.net.before_forward(lambda layer: seen.append("forward") if layer == 0 else None)
    solver.step(2)
    assert seen == [
        "start", "forward", "gradients", "update 0", "start", "forward", "gradients", "update 1",
    ]  # fmt: skip


FED = """
layer {
  name: "data" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 4 dim: 10 } shape { dim: 4 } }
}
layer {
  name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


@pytest.mark.parametrize("when", ["before the step", "in a callback"])
def test_blobs_may_be_larger_for_a_while_between_the_steps(tmp_path: Path, when: str) -> None:
    (tmp_path / "fed.prototxt").write_text(FED)
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path / "fed.prototxt"}" base_lr: 0.1 lr_policy: "fixed"'
    )
    first, second = (caffe.SGDSolver(str(tmp_path / "solver.prototxt")) for _ in range(2))
    pictures = np.random.default_rng(0).normal(size=(2, 4, 10))

    def feed(solver: caffe.SGDSolver, grows: bool) -> None:
        data = solver.net.blobs["data"]
        if grows:
            data.reshape(1000, 10)
            data.data[...] = 0
            data.reshape(4, 10)
        data.data[...] = pictures[min(solver.iter, 1)]
        solver.net.blobs["label"].data[...] = [0, 1, 2, 0]

    for solver, grows in ((first, False), (second, True)):
        if when == "in a callback":
            solver.add_callback(lambda s=solver, g=grows: feed(s, g and s.iter == 1))
            solver.step(3)
        else:
            for step in range(3):
                feed(solver, grows and step == 1)
                solver.step(1)
    for one, other in zip(first.net.params["ip"], second.net.params["ip"], strict=True):
        assert one.data.any()
        np.testing.assert_array_equal(one.data, other.data)


def test_weights_can_be_shared_with_a_net(solver: caffe.SGDSolver, net_file: str) -> None:
    net = caffe.Net(net_file, caffe.TRAIN)
    solver.share_weights(net)
    net.params["conv"][1].data[...] = 9
    assert (solver.net.params["conv"][1].data == 9).all()
    assert (solver.test_nets[0].params["conv"][1].data == 9).all()


def test_gradients_of_the_last_iteration_can_be_looked_at(solver: caffe.SGDSolver) -> None:
    solver.step(1)
    assert solver.net.params["ip"][0].diff.any()
    assert solver.net.forward()["loss"] > 0


def test_a_loss_that_is_no_number_warns_and_goes_on(solver: caffe.SGDSolver) -> None:
    solver.net.params["ip"][1].data[...] = np.nan
    with pytest.warns(RuntimeWarning, match="the loss is nan") as caught:
        solver.step(3)
    assert len(caught) == 1
    assert solver.iter == 3


def test_a_solver_that_is_wrong_raises_a_runtime_error(tmp_path: Path) -> None:
    (tmp_path / "solver.prototxt").write_text('net: "nowhere.prototxt" lr_policy: "fixd"')
    with pytest.raises(RuntimeError, match="fixd"):
        caffe.SGDSolver(str(tmp_path / "solver.prototxt"))
    with pytest.raises(RuntimeError, match="nothing"):
        caffe.get_solver(str(tmp_path / "nothing.prototxt"))


def test_the_log_is_caffes(
    solver_file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GLOG_minloglevel", "0")
    caffe.SGDSolver(solver_file).step(1)
    written = capsys.readouterr().err
    assert "Iteration 0, Testing net (#0)" in written
    assert "Iteration 0, lr = 0.01" in written


def test_the_seed_fixes_solvers_to_come_and_live_ones(
    solver_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("protonet.caffe.random_seed._seeds", None)

    def made() -> caffe.SGDSolver:
        caffe.set_random_seed(4)
        return caffe.SGDSolver(solver_file)

    first, second = made(), made()
    assert first.param.random_seed == -1
    for name, blobs in first.net.params.items():
        np.testing.assert_array_equal(blobs[0].data, second.net.params[name][0].data)
    for solver in (first, second):
        caffe.set_random_seed(9)
        solver.step(2)
    np.testing.assert_array_equal(first.net.params["ip"][0].data, second.net.params["ip"][0].data)


def test_a_solvers_own_seed_fixes_the_nets_that_follow(
    solver_file: str, net_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("protonet.caffe.random_seed._seeds", None)
    Path(solver_file).write_text(Path(solver_file).read_text() + "random_seed: 8")
    weights = []
    for _ in range(2):
        caffe.SGDSolver(solver_file)
        weights.append(caffe.Net(net_file, caffe.TRAIN).params["conv"][0].data)
    np.testing.assert_array_equal(*weights)
