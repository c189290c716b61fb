"""`protonet data`: making and looking into data sets."""

from __future__ import annotations

import click

from .data_convert import convert
from .data_info import info
from .data_mean import mean
from .data_verify import verify
from .near_names import NearNames

__all__ = ["data"]


@click.group(cls=NearNames)
def data() -> None:
    """Make and look into data sets."""


for command in (convert, mean, info, verify):
    data.add_command(command)
