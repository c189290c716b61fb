"""What check_solver finds in a solver's text, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from protonet import Error
from protonet.ir.document import solver_document
from protonet.solvers import Solver, check_solver

GOOD = 'net: "net.prototxt"\nbase_lr: 0.1\nlr_policy: "fixed"\nmax_iter: 10\n'

CASES = [
    ('type: "Adm"\n', "E401", 5, 'did you mean "Adam"'),
    ('type: "sgd"\n', "E401", 5, 'did you mean "SGD"'),
    ('type: "AdaGrad"\nmomentum: 0.9\n', "E403", 6, "leave momentum out"),
    ('type: "RMSProp"\nmomentum: 0.9\n', "E403", 6, "rms_decay"),
    ('type: "RMSProp"\nrms_decay: 1\n', "E408", 6, ""),
    ('regularization_type: "L3"\n', "E409", 5, ""),
    ("iter_size: 0\n", "E408", 5, ""),
    ("average_loss: 0\n", "E408", 5, ""),
    ("momentum: 1.5\n", "W403", 5, ""),
    ('train_net: "net.prototxt"\n', "E404", 1, "keep one"),
    ("test_iter: 5\n", "E406", 5, "test_interval"),
    ("test_iter: 5\ntest_interval: 0\n", "E406", 6, ""),
    ("test_iter: -1\ntest_interval: 5\n", "E408", 5, ""),
    ('test_net: "net.prototxt"\ntest_interval: 5\n', "E405", 5, "once for each test net"),
    ("test_iter: 5\ntest_interval: 5\ntest_state {}\ntest_state {}\n", "E405", 7, ""),
    ("warmup_start_lr: 0.1\n", "W401", 5, "warmup_iter: 1000"),
    ("warmup_iter: -1\n", "E408", 5, ""),
    ("warmup_iter: 10\n", "W403", 5, ""),
    ("min_lr: -1\n", "W403", 5, ""),
    ("plateau_winsize: 5\n", "W401", 5, "belongs to plateau"),
    ('type: "AdamW"\nweight_decay: 0.1\nregularization_type: "L1"\n', "E403", 7, "use Adam"),
    ('weights: "net.prototxt, missing.caffemodel"\n', "E407", 5, "from the folder"),
]

POLICIES = [
    ('base_lr: 0.1\nlr_policy: "multi_step"\n', "E402", 2, 'did you mean "multistep"'),
    ("base_lr: 0.1\n", "E402", 1, "fixed, step"),
    ('base_lr: 0.1\nlr_policy: "step"\ngamma: 0.1\n', "E403", 2, ""),
    ('base_lr: 0.1\nlr_policy: "step"\ngamma: 0.1\nstepsize: 0\n', "E403", 4, ""),
    ('base_lr: 0.1\nlr_policy: "step"\ngamma: -0.1\nstepsize: 5\n', "E408", 3, ""),
    ('base_lr: 0.1\nlr_policy: "step"\nstepsize: 5\n', "W401", 2, ""),
    ('base_lr: 0.1\nlr_policy: "poly"\npower: 1\n', "E403", 2, ""),
    ('base_lr: 0.1\nlr_policy: "fixed"\nstepvalue: 5\n', "W401", 3, "multistep"),
    (
        'base_lr: 0.1\nlr_policy: "multistep"\ngamma: 0.1\nstepvalue: 5\nstepvalue: 4\n',
        "W401", 5, "ascending",
    ),
    ('base_lr: 0.1\nlr_policy: "cosine"\n', "E403", 2, ""),
    ('base_lr: 0.1\nlr_policy: "plateau"\ngamma: 0.1\n', "W401", 2, ""),
    ('lr_policy: "multifixed"\nstagelr: 0.1\n', "E403", 1, "once for each stage"),
    ('lr_policy: "fixed"\nbase_lr: 0\n', "W402", 2, "0.01"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def net() -> None:
    Path("net.prototxt").write_text('name: "n"\n')


def test_a_good_solver_has_no_findings() -> None:
    assert check_solver(solver_document(GOOD)) == []


@pytest.mark.parametrize(("text", "code", "line", "help"), CASES)
def test_a_mistake_is_found_at_its_line(text: str, code: str, line: int, help: str) -> None:
    found = check_solver(solver_document(GOOD + text, "solver.prototxt"))
    assert [(d.code, d.spans[0].line) for d in found] == [(code, line)]
    assert help in found[0].help


@pytest.mark.parametrize(("text", "code", "line", "help"), POLICIES)
def test_a_mistake_in_the_rate_is_found_at_its_line(
    text: str, code: str, line: int, help: str
) -> None:
    document = solver_document(text + 'net: "net.prototxt"\n', "solver.prototxt")
    found = check_solver(document)
    assert [(d.code, d.spans[0].line) for d in found] == [(code, line)]
    assert help in found[0].help


def test_all_mistakes_are_found_at_once() -> None:
    text = 'type: "Foo"\nlr_policy: "bar"\niter_size: 0\nregularization_type: "L0"\n'
    codes = [d.code for d in check_solver(solver_document(text))]
    assert codes == ["E401", "E409", "E402", "E408", "E404"]


def test_a_net_beside_the_solver_is_pointed_at() -> None:
    Path("models").mkdir()
    Path("net.prototxt").rename("models/net.prototxt")
    document = solver_document(GOOD, "models/solver.prototxt")
    (found,) = check_solver(document)
    assert (found.code, found.spans[0].line) == ("E407", 1)
    assert "models/net.prototxt is there: run from models" in found.help


def test_a_net_named_from_a_folder_further_up_is_pointed_at(tmp_path: Path) -> None:
    folder = tmp_path / "caffe" / "examples" / "mnist"
    folder.mkdir(parents=True)
    (folder / "lenet.prototxt").write_text('name: "n"\n')
    text = GOOD.replace("net.prototxt", "examples/mnist/lenet.prototxt")
    (found,) = check_solver(solver_document(text, str(folder / "solver.prototxt")))
    assert f"run from {tmp_path / 'caffe'}" in found.help


def test_a_missing_net_is_an_error_of_the_solver_with_all_its_other_errors() -> None:
    Path("solver.prototxt").write_text('net: "nowhere.prototxt"\nlr_policy: "fix"\n')
    with pytest.raises(Error) as caught:
        Solver("solver.prototxt")
    assert {d.code for d in caught.value.diagnostics} >= {"E407", "E402"}
    assert str(caught.value).startswith("solver.prototxt:2:12: error[E402]")


def test_poly_without_iterations_is_accepted_for_testing_alone() -> None:
    text = 'net: "net.prototxt"\nbase_lr: 1\nlr_policy: "poly"\npower: 1\nmax_iter: 0\n'
    assert check_solver(solver_document(text)) == []


def test_looking_for_nets_can_be_left_out() -> None:
    document = solver_document(GOOD.replace("net.prototxt", "nowhere.prototxt"))
    assert check_solver(document, looks_for_nets=False) == []
