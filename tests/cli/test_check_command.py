"""`protonet check`: what it prints and how it exits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from checking import image
from click.testing import CliRunner, Result

from protonet.cli import main

CONV = (
    'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" '
    "convolution_param { num_output: 4 kernel_size: 3 } }\n"
)
RULE = 'base_lr: 0.1 lr_policy: "fixed" max_iter: 3\n'
GOOD = image(2, 3, 8, 8) + CONV
BAD = GOOD.replace("kernel_size: 3", "kernel_size: 9")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.prototxt").write_text(GOOD)
    (tmp_path / "bad.prototxt").write_text(BAD)
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["check", *args])


def test_good_net_is_ok_with_its_counts(folder: Path) -> None:
    done = run("good.prototxt")
    assert done.exit_code == 0
    assert done.stdout == (
        "good.prototxt: ok (TRAIN and TEST: 2 layers, 112 parameters, "
        "in data 2×3×8×8, out conv 2×4×6×6)\n"
    )


def test_bad_net_shows_the_place_and_exits_1(folder: Path) -> None:
    done = run("bad.prototxt")
    assert done.exit_code == 1
    lines = done.stdout.split("\n")
    assert lines[0] == ("bad.prototxt:2:116: error[E204]: kernel 9×9 does not fit a 8×8 input")
    assert "^ H' = (8 + 2·0 − 9)/1 + 1 = 0" in lines[2]
    assert lines[-2] == "bad.prototxt: 1 error"


def test_folder_stands_for_all_prototxt_files_in_it(folder: Path) -> None:
    (folder / "more").mkdir()
    (folder / "more" / "other.prototxt").write_text(GOOD)
    done = run(".")
    assert done.exit_code == 1
    told = [line.split(":")[0] for line in done.stdout.split("\n") if ": ok" in line]
    assert told == ["good.prototxt", "more/other.prototxt"]
    (folder / "empty").mkdir()
    assert "no prototxt files in this folder" in run("empty").stderr


def test_all_files_are_checked_although_one_is_bad(folder: Path) -> None:
    done = run("bad.prototxt", "good.prototxt", "missing.prototxt")
    assert done.exit_code == 1
    assert "bad.prototxt: 1 error" in done.stdout
    assert "good.prototxt: ok" in done.stdout
    assert "missing.prototxt: 1 error" in done.stdout


def test_json_has_the_findings_and_a_row_for_each_file(folder: Path) -> None:
    done = run("--format", "json", "bad.prototxt", "good.prototxt")
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert [found["code"] for found in document["diagnostics"]] == ["E204"]
    assert document["diagnostics"][0]["spans"][0]["line"] == 2
    bad, good = document["files"]
    assert (bad["ok"], good["ok"], good["kind"]) == (False, True, "net")
    assert good["phases"]["TEST"] == {
        "layers": 2,
        "parameters": 112,
        "inputs": {"data": [2, 3, 8, 8]},
        "outputs": {"conv": [2, 4, 6, 6]},
    }


def test_phase_looks_at_one_phase_only(folder: Path) -> None:
    text = GOOD + (
        'layer { name: "r" type: "ReLU" bottom: "no" top: "r" include { phase: TRAIN } }\n'
    )
    (folder / "net.prototxt").write_text(text)
    assert run("--phase", "test", "net.prototxt").exit_code == 0
    assert run("--phase", "TRAIN", "net.prototxt").exit_code == 1
    assert run("net.prototxt").exit_code == 1


def test_level_and_stage_reach_the_include_rules(folder: Path) -> None:
    rule = "include { stage: 'deep' min_level: 2 }"
    text = GOOD + f'layer {{ name: "r" type: "ReLU" bottom: "no" top: "r" {rule} }}\n'
    (folder / "net.prototxt").write_text(text)
    assert run("net.prototxt").exit_code == 0
    assert run("--stage", "deep", "net.prototxt").exit_code == 0
    assert run("--stage", "deep", "--level", "2", "net.prototxt").exit_code == 1


def test_weights_that_do_not_fit_are_errors_in_the_net_file(folder: Path) -> None:
    from protonet import Net

    Net("good.prototxt").save("good.caffemodel")
    (folder / "net.prototxt").write_text(GOOD.replace("num_output: 4", "num_output: 5"))
    assert run("--weights", "good.caffemodel", "good.prototxt").exit_code == 0
    done = run("--weights", "good.caffemodel", "net.prototxt")
    assert done.exit_code == 1
    assert done.stdout.startswith("net.prototxt:2:15: error[E302]")
    assert run("--weights", "none.caffemodel", "good.prototxt").exit_code == 1


def test_phase_without_data_is_passed_over(folder: Path) -> None:
    data = image(2, 3, 8, 8).replace("} } }\n", "} } include { phase: TRAIN } }\n")
    (folder / "net.prototxt").write_text(data + CONV)
    done = run("net.prototxt")
    assert done.exit_code == 0
    assert "nothing makes data in phase TEST" in done.stdout
    assert "ok (TRAIN: 2 layers" in done.stdout


def test_training_phase_of_a_net_for_use_alone_is_passed_over(folder: Path) -> None:
    only = 'layer { name: "r" type: "ReLU" bottom: "conv" top: "r" include { phase: TEST } }\n'
    text = GOOD + only + 'layer { name: "s" type: "ReLU" bottom: "r" top: "s" }\n'
    (folder / "net.prototxt").write_text(text)
    done = run("net.prototxt")
    assert done.exit_code == 0
    assert "layers are missing in phase TRAIN" in done.stdout


class TestSolver:
    def solver(self, folder: Path, text: str) -> str:
        (folder / "solver.prototxt").write_text(text + RULE)
        return "solver.prototxt"

    def test_follows_its_net_in_training_and_testing(self, folder: Path) -> None:
        file = self.solver(folder, 'net: "bad.prototxt" test_iter: 1 test_interval: 9 ')
        done = run(file)
        assert done.exit_code == 1
        assert done.stdout.count("error[E204]") == 1
        assert done.stdout.startswith("bad.prototxt:2:116:")

    def test_counts_the_nets_of_each_phase(self, folder: Path) -> None:
        file = self.solver(folder, 'net: "good.prototxt" test_iter: 1 test_interval: 9 ')
        done = run(file)
        assert done.exit_code == 0
        assert "solver.prototxt: ok (TRAIN and TEST 0: 2 layers" in done.stdout

    def test_builds_each_net_for_its_state(self, folder: Path) -> None:
        rule = "include { stage: 'odd' }"
        (folder / "staged.prototxt").write_text(
            GOOD + f'layer {{ name: "r" type: "ReLU" bottom: "no" top: "r" {rule} }}\n'
        )
        plain = 'net: "staged.prototxt" '
        assert run(self.solver(folder, plain)).exit_code == 0
        staged = plain + " train_state { stage: 'odd' }"
        assert run(self.solver(folder, staged)).exit_code == 1

    def test_net_inside_the_solver_is_judged_at_its_lines(self, folder: Path) -> None:
        done = run(self.solver(folder, "\nnet_param {\n" + BAD + "}\n"))
        assert done.exit_code == 1
        assert done.stdout.startswith("solver.prototxt:4:116: error[E204]")

    def test_net_that_is_not_there_is_told_at_the_solvers_line(self, folder: Path) -> None:
        done = run(self.solver(folder, '\nnet: "nowhere.prototxt"\n'))
        assert done.exit_code == 1
        assert done.stdout.startswith("solver.prototxt:2:6: error[E462]: nowhere.prototxt")

    def test_net_beside_the_solver_is_found_with_a_warning(self, folder: Path) -> None:
        (folder / "deep").mkdir()
        (folder / "deep" / "net.prototxt").write_text(GOOD)
        (folder / "deep" / "solver.prototxt").write_text('net: "net.prototxt"' + RULE)
        done = run("deep/solver.prototxt")
        assert done.exit_code == 0
        assert "warning[W463]" in done.stdout

    def test_solver_without_a_net(self, folder: Path) -> None:
        done = run(self.solver(folder, ""))
        assert done.exit_code == 1
        assert "error[E404]: the solver names no net to train" in done.stdout

    def test_mistyped_field_is_not_missed_as_well(self, folder: Path) -> None:
        (folder / "solver.prototxt").write_text(
            'net: "good.prototxt"\n' + RULE.replace("lr_policy", "lr_polisy")
        )
        done = run("solver.prototxt")
        assert done.stdout.startswith("solver.prototxt:2:14: error[E002]")
        assert "solver.prototxt: 1 error\n" in done.stdout

    def test_gpu_mode_is_a_note(self, folder: Path) -> None:
        done = run(self.solver(folder, 'net: "good.prototxt" solver_mode: GPU\n'))
        assert done.exit_code == 0
        assert "info[I461]" in done.stdout
