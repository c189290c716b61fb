"""`protonet caffe`: the caffe binary's own command line."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import click

__all__ = ["caffe"]

_GPU = "-gpu has no effect: protonet computes on the CPU"
# Flags of every program that logs with glog.
_LOG_FLAGS = frozenset(
    {
        "alsologtostderr", "colorlogtostderr", "log_dir", "logtostderr", "minloglevel",
        "stderrthreshold", "v", "vmodule",
    }
)  # fmt: skip
_HELP = frozenset({"h", "help", "helpfull", "helpshort"})
_SWITCHES = _HELP | {
    "allow_python_layers", "alsologtostderr", "colorlogtostderr", "logtostderr", "version",
}  # fmt: skip
_FLAGS = _HELP | {
    "allow_python_layers", "gpu", "iterations", "level", "model", "phase", "sighup_effect",
    "sigint_effect", "snapshot", "solver", "stage", "version", "weights",
}  # fmt: skip

Flags = dict[str, str]


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    options_metavar="",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="ACTION [FLAG…]")
@click.pass_context
def caffe(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Take the command line of Caffe's own program; flags with one dash or two, in any order.

    \b
    train -solver FILE [-snapshot STATE | -weights FILE,…]
          [-sigint_effect stop|snapshot|none] [-sighup_effect …]
    test -model FILE -weights FILE,… [-iterations 50]
    time -model FILE [-phase TRAIN|TEST] [-iterations 50]
    device_query

    All but the last take -level N and -stage NAME,… ; -allow_python_layers lets the code of the
    net's Python layers run; -version tells whose Caffe this is. The log goes to stderr.
    """
    actions, flags = _read(context, arguments)
    if "version" in flags:
        from protonet import __version__

        click.echo(f"caffe version 1.0.0 (protonet {__version__})")
    elif flags.keys() & _HELP or not (actions or flags):
        click.echo(context.get_help())
    elif not actions:
        context.fail(f"an action is missing; there are {', '.join(_ACTIONS)}")
    elif actions[0] not in _ACTIONS:
        context.fail(f'no such action: "{actions[0]}"; there are {", ".join(_ACTIONS)}')
    elif len(actions) > 1:
        context.fail(f'what is "{actions[1]}"? flags begin with a dash, and there is one action')
    else:
        if "gpu" in flags and actions[0] != "device_query":
            click.echo(f"protonet: {_GPU}", err=True)
        _ACTIONS[actions[0]](context, flags)


def _read(context: click.Context, arguments: Sequence[str]) -> tuple[list[str], Flags]:
    """Sorts -flag value, -flag=value, the same with two dashes, -switch and -noswitch from what
    are no flags."""
    others: list[str] = []
    flags: Flags = {}
    waiting = list(arguments)
    while waiting:
        given = waiting.pop(0)
        if not given.startswith("-"):
            others.append(given)
            continue
        name, is_joined, value = given.lstrip("-").partition("=")
        name = name.replace("-", "_")
        if not is_joined and name.removeprefix("no") in _SWITCHES and name not in _SWITCHES:
            name, is_joined, value = name.removeprefix("no"), "=", "false"
        if name not in _FLAGS | _LOG_FLAGS:
            context.fail(f'unknown flag "{given}"')
        if not is_joined and name in _SWITCHES:
            value = "true"
        elif not is_joined:
            if not waiting:
                context.fail(f'flag "{given}" needs a value')
            value = waiting.pop(0)
        if name in _FLAGS:
            flags[name] = value
    return others, flags


def _needed(context: click.Context, flags: Flags, name: str, why: str) -> str:
    if not flags.get(name):
        context.fail(f"-{name} is missing: {why}")
    return flags[name]


def _options(flags: Flags, **names: str) -> list[str]:
    """Turns flags into another command's options, those of every action included."""
    options = [
        part for flag, option in names.items() if flags.get(flag) for part in (option, flags[flag])
    ]
    if flags.get("level"):
        options += ["--level", flags["level"]]
    for stage in filter(None, flags.get("stage", "").split(",")):
        options += ["--stage", stage]
    if flags.get("allow_python_layers", "0") not in ("0", "false"):
        options.append("--allow-python-layers")
    return options


def _run(command: str, arguments: list[str]) -> None:
    """Runs another of protonet's commands, what it prints going to stderr as lines of a log."""
    found: click.Command = getattr(import_module(f"protonet.cli.{command}"), command)
    name = f"protonet caffe {command.removeprefix('caffe_')}"
    with contextlib.redirect_stdout(LogStream()):
        found.main(arguments, prog_name=name, standalone_mode=False)


def _train(context: click.Context, flags: Flags) -> None:
    solver = _needed(context, flags, "solver", "a solver to train by")
    _run(
        "train",
        [
            solver,
            *_options(
                flags, snapshot="--resume", weights="--weights",
                sigint_effect="--sigint-effect", sighup_effect="--sighup-effect",
            ),
        ],
    )  # fmt: skip


def _test(context: click.Context, flags: Flags) -> None:
    model = _needed(context, flags, "model", "a net to test")
    _needed(context, flags, "weights", "the trained weights")
    _run("test", [model, *_options(flags, weights="--weights", iterations="--iterations")])


def _time(context: click.Context, flags: Flags) -> None:
    model = _needed(context, flags, "model", "a net to time")
    _run("caffe_time", [model, *_options(flags, phase="--phase", iterations="--iterations")])


def _query(context: click.Context, flags: Flags) -> None:
    from protonet import kernels

    click.echo("no GPU: protonet computes on the CPU")
    click.echo(f"instruction set: {kernels.isa()}")
    click.echo(f"threads: {kernels.threads()}")


_ACTIONS: dict[str, Callable[[click.Context, Flags], None]] = {
    "train": _train, "test": _test, "time": _time, "device_query": _query,
}  # fmt: skip


class LogStream(io.TextIOBase):
    """Writes lines to stderr with glog's front, unless they have it already; a terminal gets the
    text as it is."""

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._line = ""

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._stream.isatty()

    def write(self, text: str) -> int:
        from protonet.solvers.text_log import log_line

        if self.isatty():
            return self._stream.write(text)
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            is_marked = line[:1] in "IWEF" and line[1:5].isdigit()
            self._stream.write((line if is_marked else log_line(line)) + "\n")
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> Any:  # type: ignore[override]
        return self._stream.encoding
