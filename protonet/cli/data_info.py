"""`protonet data info`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .progress_bar import progress_bar

if TYPE_CHECKING:
    from collections import Counter

__all__ = ["info"]

_MOST_LABELS = 100
_MOST_SIZES = 10
_BAR = 40  # characters


@click.command()
@click.argument("database")
@click.option("--sheet", metavar="FILE.png", help="Write some of the images, evenly spread.")
@click.option(
    "--images",
    type=click.IntRange(1, 10000),
    default=64,
    show_default=True,
    metavar="N",
    help="How many of them.",
)
def info(database: str, sheet: str | None, images: int) -> None:
    """Tell what DATABASE holds: how many records, their sizes, how often each label."""
    from protonet.data.survey import survey

    found = survey(database, images if sheet else 0, progress_bar("reading"))
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in found.kinds.most_common())
    click.echo(f"{database}: {found.count:,} records{f' ({kinds})' if kinds else ''}")
    if found.bad:
        click.echo(f"{len(found.bad):,} are bad: protonet data verify {database}")
    _show_sizes(found.shapes)
    _show_labels(found.labels)
    if sheet:
        from protonet.data.contact_sheet import contact_sheet
        from protonet.data.pictures import encode
        from protonet.ir.files import atomic_write

        with atomic_write(sheet) as file:
            file.write(encode(contact_sheet(found.examples), "png") if found.examples else b"")
        click.echo(f"{sheet}: {len(found.examples)} of the images")


def _show_sizes(shapes: Counter[tuple[int, ...]]) -> None:
    click.echo("images, channels × height × width:")
    for shape, count in shapes.most_common(_MOST_SIZES):
        click.echo(f"  {'×'.join(map(str, shape)):14} {count:>10,}")
    if len(shapes) > _MOST_SIZES:
        click.echo(f"  and {len(shapes) - _MOST_SIZES:,} sizes more")


def _show_labels(labels: Counter[int]) -> None:
    click.echo(f"labels, {len(labels):,} different:")
    most = max(labels.values(), default=1)
    for label, count in sorted(labels.items())[:_MOST_LABELS]:
        click.echo(f"  {label:6} {count:>10,}  {'█' * round(_BAR * count / most)}".rstrip())
    if len(labels) > _MOST_LABELS:
        click.echo(f"  and {len(labels) - _MOST_LABELS:,} more, up to {max(labels)}")
