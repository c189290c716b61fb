"""The frame of the command line: help, failures in plain words, exit codes, speed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from checking import image
from click.testing import CliRunner

from protonet import Error
from protonet.cli import COMMANDS, Commands, main
from protonet.cli.failure import plain_failures


def protonet(*args: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "protonet", *args],
        capture_output=True, text=True, check=False, **settings,  # type: ignore[call-overload]
    )  # fmt: skip


def test_help_lists_every_command_without_loading_one() -> None:
    code = "import sys, protonet.cli; protonet.cli.main(['--help'], standalone_mode=False)"
    loaded = "print([m for m in ('numpy', 'lark', 'google.protobuf', 'rich') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; {loaded}"], capture_output=True, text=True, check=True
    )
    assert all(name in done.stdout for name in COMMANDS)
    assert done.stdout.endswith("\n[]\n")


def test_every_command_in_the_table_exists_and_has_help() -> None:
    for name in COMMANDS:
        done = CliRunner().invoke(main, [name, "--help"])
        assert done.exit_code == 0, done.output


def test_version() -> None:
    import protonet as package

    assert protonet("--version").stdout == f"protonet {package.__version__}\n"


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("chek",), "check"),
        (("surgery", "fc2conv"), "fc-to-conv"),
        (("data", "covert"), "convert"),
        (("data", "convert", "image"), "images"),
    ],
)
def test_unknown_command_names_the_nearest(words: tuple[str, ...], near: str) -> None:
    done = protonet(*words)
    assert done.returncode == 2
    assert f'did you mean "{near}"?' in done.stderr


def failing(error: BaseException) -> click.Command:
    @click.group(cls=Commands)
    def group() -> None:
        pass

    class Failing(Commands):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            def fail() -> None:
                raise error

            return click.Command("fail", callback=fail)

        def list_commands(self, ctx: click.Context) -> list[str]:
            return ["fail"]

    return Failing("protonet")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (Error("the net is wrong"), 1, "error: the net is wrong"),
        (KeyboardInterrupt(), 130, "protonet: interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "a.caffemodel"), 1,
         "protonet: a.caffemodel: no space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), 1,
         "protonet: x: permission denied"),
        (OSError("odd"), 1, "protonet: odd"),
        (MemoryError("Unable to allocate 7 GiB"), 1,
         "protonet: out of memory: Unable to allocate 7 GiB"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, ""),
    ],
)  # fmt: skip
def test_failure_is_one_line_and_an_exit_code(error: Exception, code: int, line: str) -> None:
    done = CliRunner().invoke(failing(error), ["fail"])
    assert done.exit_code == code
    assert done.stderr.strip() == line
    assert isinstance(done.exception, SystemExit)


def test_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), plain_failures():
        raise ZeroDivisionError


def test_debug_shows_where_a_user_error_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROTONET_DEBUG", "traceback")
    with pytest.raises(Error), plain_failures():
        raise Error("wrong")


def test_reader_of_a_pipe_may_stop_early(tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(image(1, 3, 8, 8) + "".join(
        f'layer {{ name: "r{i}" type: "ReLU" bottom: "data" top: "r{i}" }}\n' for i in range(2000)
    ))  # fmt: skip
    command = f'"{sys.executable}" -m protonet summary "{net}" | head -1'
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout.strip()
    assert done.stderr == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_full_disk_behind_standard_output_is_told() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "protonet", "layers"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "protonet: no space left on device\n"


def test_terminal_without_the_characters_still_gets_the_numbers(tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(image(1, 3, 8, 8))
    done = protonet("check", str(net), env={**os.environ, "PYTHONIOENCODING": "cp437"})
    assert done.returncode == 0
    assert "1?3?8?8" in done.stdout
