"""`protonet data mean`."""

from __future__ import annotations

import click

from .progress_bar import progress_bar

__all__ = ["mean"]


@click.command()
@click.argument("database")
@click.argument("file", required=False)
@click.option("--gray", "mode", flag_value="gray", help="Decode encoded images to one channel.")
@click.option("--color", "mode", flag_value="color", help="Decode them to three.")
def mean(database: str, file: str | None, mode: str | None) -> None:
    """Print the mean of DATABASE's images, channel by channel, and write the mean image to FILE.

    A name that ends in .npy makes it an array; else it is a .binaryproto. Both are read by
    `transform_param { mean_file }`; the numbers fit `mean_value`.
    """
    from protonet.data.mean_image import mean_of, write_mean

    found, count = mean_of(database, mode or "", progress_bar("summing"))
    if file:
        write_mean(file, found)
    size = "×".join(map(str, found.shape))
    click.echo(f"{file or database}: mean of {count:,} images of {size}")
    for value in found.mean(axis=(1, 2), dtype=float).tolist():
        click.echo(f"mean_value: {value:.6g}")
