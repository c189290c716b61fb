"""`protonet train`: train the net of a solver."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, TextIO

import click

from protonet.cli.bad_records import skip_bad_records
from protonet.cli.cores import threads
from protonet.cli.failure import colored
from protonet.cli.net_rules import level_and_stages
from protonet.cli.python_layers import allow_python_layers
from protonet.cli.signals import EFFECTS, signals_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from protonet.ir.document import Document
    from protonet.ir.protonet_pb2 import SolverParameter
    from protonet.solvers.events import NetTested
    from protonet.solvers.solver import Solver

__all__ = ["train"]

AUTO = "auto"


@click.command()
@click.argument("solver", metavar="SOLVER")
@click.option(
    "--weights",
    "weights",
    multiple=True,
    metavar="FILE[,FILE…]",
    help="Start from these trained weights (fine-tuning), by layer name.",
)
@click.option(
    "--resume",
    metavar="STATE",
    help="Go on from this .solverstate; `auto` takes the newest sound one.",
)
@click.option(
    "--keep",
    type=click.IntRange(1),
    metavar="K",
    help="Keep the last K snapshots; default all.",
)
@threads
@click.option(
    "--display",
    type=click.IntRange(0),
    metavar="N",
    help="Report every N iterations, whatever the solver says.",
)
@click.option("--log-json", metavar="FILE", help="Write a JSON object per display and per test.")
@click.option(
    "--tensorboard", metavar="DIR", help="Write events for TensorBoard: protonet[tensorboard]."
)
@click.option(
    "--lr-find",
    is_flag=True,
    help="Instead of training look for a good base_lr by growing it: protonet[plot].",
)
@level_and_stages
@click.option(
    "--sigint-effect",
    type=click.Choice(EFFECTS),
    default="stop",
    show_default=True,
    help="What Ctrl-C does.",
)
@click.option(
    "--sighup-effect",
    type=click.Choice(EFFECTS),
    default="snapshot",
    show_default=True,
    help="What a lost terminal does.",
)
@skip_bad_records
@allow_python_layers
def train(
    solver: str,
    weights: tuple[str, ...],
    resume: str | None,
    keep: int | None,
    display: int | None,
    log_json: str | None,
    tensorboard: str | None,
    lr_find: bool,
    level: int,
    stages: tuple[str, ...],
    sigint_effect: str,
    sighup_effect: str,
) -> None:
    """Train the net of a solver, as its prototxt SOLVER says.

    Files named in it are found from the current folder. On a terminal a live line shows how far
    it is; elsewhere the log is in Caffe's words. Ctrl-C (or SIGTERM) finishes the iteration,
    writes a snapshot and tells how to go on; a second one stops at once.
    """
    from protonet.ir.document import read_solver_document
    from protonet.prototxt.diagnostics import Diagnostic, Error
    from protonet.solvers.checking import places, split_list
    from protonet.solvers.json_log import JsonLog
    from protonet.solvers.solver import Solver

    if weights and resume:
        raise Error(
            Diagnostic(
                "E413", "both --weights and --resume are given",
                help="a state brings its own weights: leave --weights out",
            )
        )  # fmt: skip
    document = read_solver_document(solver)
    if not document.message.HasField("max_iter"):
        raise Error(
            Diagnostic(
                "E403", "the solver has no max_iter", places(document.source, ()),
                help="say how many iterations to train: max_iter: 10000",
            )
        )  # fmt: skip
    if display is not None:
        document.message.display = display
    state = _newest(document) if resume == AUTO else resume
    files = [file for text in weights for file in split_list(text)]
    # A state brings its weights, so those that the solver names need not be read.
    start = files if files else [] if state else None
    training = Solver(document, weights=start, level=level, stages=stages)
    training.keep = keep
    _warn(training)
    with contextlib.ExitStack() as stack:
        stack.callback(training.close)
        if lr_find:
            from protonet.cli.lr_find import find_rate

            find_rate(training, state)
            return
        if log_json is not None:
            stream = stack.enter_context(open(log_json, "a" if resume else "w", encoding="utf-8"))
            training.listeners.add_for_all(JsonLog(training, stream, _complain))
        if tensorboard is not None:
            from protonet.solvers.tensorboard_log import TensorBoardLog

            events = TensorBoardLog(training, tensorboard, _complain)
            stack.callback(events.close)
            training.listeners.add_for_all(events)
        _listen(training, stack)
        stack.enter_context(
            signals_to(training.stop, training.request_snapshot, sigint_effect, sighup_effect)
        )
        _run(training, state)
    if training.stopped:
        _tell_how_to_go_on(training, solver)


def _run(solver: Solver, state: str | None) -> None:
    """Trains; then tests, unless a test was due anyway after the last iteration."""
    tested: list[NetTested] = []
    solver.on_test(tested.append)
    solver.solve(state)
    if not solver.stopped and (not tested or tested[-1].iteration != solver.iter):
        solver.test_all()


def _newest(document: Document[SolverParameter]) -> str | None:
    """Finds the newest sound snapshot, tells which newer ones are not, or that there is none."""
    from protonet.ir.snapshots import snapshot_prefix
    from protonet.solvers.snapshots import newest_sound

    prefix = snapshot_prefix(document.message, document.source.file)
    found, rejected = newest_sound(prefix)
    for error in rejected:
        _complain(f"not resuming from {error}")
    if found is None:
        _complain(f"no snapshot {prefix}_iter_* to resume from")
    return found


def _warn(solver: Solver) -> None:
    """Shows what is likely a mistake in the solver or its nets."""
    from protonet.prototxt.diagnostics import Severity, render

    found = {
        str(diagnostic): diagnostic
        for diagnostics in (
            solver.diagnostics,
            *(net.diagnostics for net in (solver.net, *solver.test_nets)),
        )
        for diagnostic in diagnostics
        if diagnostic.severity is Severity.WARNING
    }
    if found:
        click.echo(render(found.values(), color=colored(sys.stderr)), err=True)


def _listen(solver: Solver, stack: contextlib.ExitStack) -> None:
    """Lets the log and the live line hear the solver."""
    from protonet.solvers.text_log import TextLog

    log = _log_stream()
    if log is not None:
        solver.listeners.add_for_all(TextLog(lambda line: print(line, file=log, flush=True)))
    if sys.stdout.isatty():
        stack.enter_context(_live_line(solver))


def _complain(text: str) -> None:
    click.echo(f"protonet: {text}", err=True)


def _log_stream() -> TextIO | None:
    """The log goes where the user sends it: to stdout; to stderr if only that was redirected, as
    for Caffe; nowhere if both are terminals, where the live line tells enough."""
    if not sys.stdout.isatty():
        return sys.stdout
    return None if sys.stderr.isatty() else sys.stderr


@contextlib.contextmanager
def _live_line(solver: Solver) -> Iterator[None]:
    from rich.console import Console

    from protonet.cli.live_line import LiveLine

    start = time.perf_counter()
    with LiveLine(solver, Console()) as line:
        solver.listeners.add_for_all(line)
        yield
    seconds = round(time.perf_counter() - start)
    click.echo(f"{solver.iter} iterations, {timedelta(seconds=seconds)}")


def _tell_how_to_go_on(solver: Solver, file: str) -> None:
    if solver.last_snapshot is None:
        return
    state = os.path.relpath(solver.last_snapshot.state)
    click.echo(f"stopped at iteration {solver.iter}; to go on:")
    click.echo(f"  protonet train {file} --resume {state}")
