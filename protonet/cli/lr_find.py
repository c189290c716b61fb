"""`protonet train --lr-find`: the range test instead of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from protonet.solvers.solver import Solver

__all__ = ["find_rate"]


def find_rate(solver: Solver, state: str | None) -> None:
    """Runs the test from where the solver stands, prints what it found and writes its picture."""
    from protonet.cli.plot import save_figure
    from protonet.extras import import_extra
    from protonet.solvers.curves import EXTRA
    from protonet.solvers.lr_find import draw_range_test, range_test

    import_extra("matplotlib.figure", EXTRA)  # or fail before the work
    if state is not None:
        solver.restore(state)
    found = range_test(solver)
    if found.suggestion is None:
        click.echo("the loss does not fall at any rate: look at the data, labels and fillers")
    else:
        click.echo(f"base_lr: {found.suggestion:.2g}  # the loss falls fastest there")
        click.echo(f"the loss is lowest at {found.lowest:.2g}", nl=False)
        click.echo("" if found.diverges is None else f" and diverges at {found.diverges:.2g}")
    picture = f"{solver.prefix}_lr_find.png"
    save_figure(draw_range_test(found), picture)
    click.echo(f"{len(found.rates)} iterations, drawn in {picture}")
