"""`protonet data convert`: making databases."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import click

from .near_names import NearNames
from .progress_bar import progress_bar

if TYPE_CHECKING:
    from protonet.data.convert import Converted

__all__ = ["convert"]

_force = click.option("--force", is_flag=True, help="Replace the database if it is there.")
_MOST_SHOWN = 20  # of the records that were left out


@click.group(cls=NearNames)
def convert() -> None:
    """Make an LMDB database of a data set of another kind.

    A Data layer reads it with `backend: LMDB`. The database is there when it is whole: what is
    interrupted leaves nothing, or the old one.
    """


@convert.command()
@click.argument("images")
@click.argument("labels")
@click.argument("database")
@_force
def idx(images: str, labels: str, database: str, force: bool) -> None:
    """Make DATABASE of two IDX files, as MNIST comes in, packed by gzip or not."""
    from protonet.data.convert import idx_to_lmdb

    _show(idx_to_lmdb(images, labels, database, replace=force, progress=progress_bar("converting")))


@convert.command()
@click.argument("files", nargs=-1, required=True)
@click.argument("database")
@click.option(
    "--label",
    type=click.Choice(["cifar10", "coarse", "fine"]),
    default="cifar10",
    show_default=True,
    help="CIFAR-10, or which label of CIFAR-100.",
)
@click.option("--bgr", is_flag=True, help="Channels B, G, R, as all else has them, not R, G, B.")
@_force
def cifar(files: tuple[str, ...], database: str, label: str, bgr: bool, force: bool) -> None:
    """Make DATABASE of the binary FILES of CIFAR-10 or CIFAR-100.

    Their channels stay R, G, B as Caffe's converter leaves them, unless --bgr is given.
    """
    from protonet.data.convert_cifar import cifar_to_lmdb

    _show(
        cifar_to_lmdb(
            files, database, label, bgr=bgr, replace=force, progress=progress_bar("converting")
        )
    )


@convert.command()
@click.argument("source")
@click.argument("database")
@_force
def leveldb(source: str, database: str, force: bool) -> None:
    """Make DATABASE of a LevelDB, the records as they are.

    A Data layer reads both; but LMDB in less time.
    """
    from protonet.data.convert_leveldb import leveldb_to_lmdb

    count = leveldb_to_lmdb(source, database, replace=force, progress=progress_bar("copying"))
    click.echo(f"{database}: {count:,} records")


def _size(
    context: click.Context, option: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    """Returns height and width of 256x320, or of 256 for both."""
    if value is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,4})(?:[x×]([1-9]\d{0,4}))?", value)
    if not found:
        raise click.BadParameter(f"{value!r} is no size; write 256x320, height first")
    return int(found[1]), int(found[2] or found[1])


@convert.command()
@click.argument("source")
@click.argument("database")
@click.option("--root", default="", metavar="FOLDER", help="Where the paths of a list begin.")
@click.option(
    "--resize", callback=_size, metavar="HxW", help="Bring all images to this size, as OpenCV does."
)
@click.option("--gray", is_flag=True, help="One channel instead of three.")
@click.option(
    "--encode", type=click.Choice(["jpg", "png"]), help="Keep image files instead of raw pixels."
)
@click.option("--shuffle", is_flag=True, help="Put the images in a random order.")
@click.option("--seed", type=click.IntRange(0), default=0, metavar="N", help="Another such order.")
@click.option("--check-size", is_flag=True, help="Refuse images that differ in size.")
@click.option("--skip-bad-records", is_flag=True, help="Leave out and list what cannot be read.")
@click.option(
    "--label-list",
    metavar="FILE",
    help="Where the class names of a folder go, one a line; default DATABASE.labels.txt.",
)
@_force
def images(
    source: str,
    database: str,
    root: str,
    resize: tuple[int, int] | None,
    gray: bool,
    encode: str | None,
    shuffle: bool,
    seed: int,
    check_size: bool,
    skip_bad_records: bool,
    label_list: str | None,
    force: bool,
) -> None:
    """Make DATABASE of image files: SOURCE is a list, `path label` a line, or a folder with a
    folder of images for each class.

    A conversion that was interrupted goes on when the same command is given again.
    """
    from protonet.data.convert_images import ImageOptions, images_to_lmdb
    from protonet.data.image_folder import ImageFolder, write_class_names
    from protonet.data.image_list import ImageList

    found: ImageFolder | ImageList
    if os.path.isdir(source):
        found = ImageFolder(source)
    else:
        found = ImageList(source, os.path.join(root, "") if root else "")
    height, width = resize or (0, 0)
    options = ImageOptions(
        height, width, gray, encode or "", shuffle, seed, check_size, skip_bad_records
    )
    made = images_to_lmdb(
        found, database, options, replace=force, progress=progress_bar("converting")
    )
    _show(made)
    if isinstance(found, ImageFolder):
        names = label_list or database.rstrip(os.sep) + ".labels.txt"
        write_class_names(names, found.classes)
        click.echo(f"{names}: {len(found.classes):,} class names")


def _show(made: Converted) -> None:
    click.echo(str(made))
    for error in made.skipped[:_MOST_SHOWN]:
        click.echo(f"left out: {error.message}", err=True)
    if len(made.skipped) > _MOST_SHOWN:
        click.echo("…", err=True)
    if made.skipped:
        click.echo(f"{len(made.skipped):,} images were left out", err=True)
