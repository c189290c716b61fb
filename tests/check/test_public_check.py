"""`protonet.check` as others call it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from checking import image

import protonet

BAD = image(1, 3, 8, 8) + 'layer { name: "r" type: "ReLU" bottom: "dat" top: "r" }\n'


def test_file_gives_its_diagnostics(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(BAD)
    assert [d.code for d in protonet.check(tmp_path / "net.prototxt")] == ["E102"]


def test_message_gives_diagnostics_without_places(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(BAD)
    (found,) = protonet.check(protonet.read_net(str(tmp_path / "net.prototxt")))
    assert (found.code, found.spans) == ("E102", ())
    assert str(found) == 'error[E102]: unknown bottom blob "dat"'


def test_solver_message_follows_its_net(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(BAD)
    solver = protonet.SolverParameter(
        net=str(tmp_path / "net.prototxt"), base_lr=0.1, lr_policy="fixed", max_iter=1
    )
    assert [d.code for d in protonet.check(solver)] == ["E102"]


def test_file_that_is_not_there_is_a_diagnostic() -> None:
    assert [d.code for d in protonet.check("nowhere.prototxt")] == ["E010"]


def test_it_can_be_called_before_and_after_the_package_is_imported() -> None:
    code = (
        "import protonet; protonet.check('x'); import protonet.check.graph as g; "
        "protonet.check('x'); print(g.Graph.__name__)"
    )
    late = "import protonet.check.graph, protonet; print(protonet.check('x')[0].code)"
    for program, said in ((code, "Graph\n"), (late, "E010\n")):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert done.stdout == said
