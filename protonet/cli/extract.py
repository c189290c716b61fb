"""`protonet extract`: write what blobs hold while a net runs over its data."""

from __future__ import annotations

import click

from protonet.cli.bad_records import skip_bad_records
from protonet.cli.cores import threads
from protonet.cli.progress_bar import progress_bar
from protonet.cli.python_layers import allow_python_layers

__all__ = ["extract"]


@click.command()
@click.argument("net", metavar="NET")
@click.argument("weights", metavar="WEIGHTS")
@click.argument("blobs", nargs=-1, required=True, metavar="BLOB…")
@click.option("--out", required=True, metavar="FILE", help="An .h5, .npy or .lmdb file to write.")
@click.option(
    "--iterations",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="How many batches to run.",
)
@threads
@click.option("--force", is_flag=True, help="Replace the database if it is there.")
@skip_bad_records
@allow_python_layers
def extract(
    net: str,
    weights: str,
    blobs: tuple[str, ...],
    out: str,
    iterations: int,
    force: bool,
) -> None:
    """Run NET in its TEST phase over N batches of its data, and write the rows of each BLOB to
    FILE: features for other programs.

    An .h5 file holds a data set for each blob; an .npy file and an LMDB (float Datum records) one
    blob.
    """
    from protonet.data.row_files import row_file
    from protonet.net import Net
    from protonet.plan import FedPlan
    from protonet.prototxt.diagnostics import Diagnostic, Error, nearest

    run = Net(net, weights=weights)
    try:
        for name in blobs:
            if name not in run.blobs:
                near = nearest(name, list(run.blobs))
                help = f'did you mean "{near}"?' if near else ""
                raise Error(Diagnostic("E102", f'{net}: there is no blob "{name}"', help=help))
            if not run.blobs[name].shape:
                raise Error(Diagnostic("E454", f'{net}: blob "{name}" is one number, not rows'))
        if run.inputs:
            raise Error(
                Diagnostic(
                    "E450", f"{net}: nothing feeds {', '.join(run.inputs)}",
                    help="put a data layer, ImageData or Data, in the place of the input",
                )
            )  # fmt: skip
        names, rows = list(dict.fromkeys(blobs)), 0
        plan = FedPlan(run, names)
        with row_file(out, names, force) as add:
            for _ in progress_bar("extracting")(range(iterations), iterations):
                made = plan.run()
                add({name: made[name] for name in names})
                rows += made[names[0]].shape[0]
        for name in names:
            size = "×".join(map(str, made[name].shape[1:])) or "1"
            click.echo(f"{out}: {rows:,} rows of {name}, {size}")
    finally:
        run.close()
