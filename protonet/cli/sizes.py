"""The option --input, which takes a size as the user writes one."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["Sizes", "WithSizes"]


class WithSizes(click.Command):
    """A command whose option --input takes as many numbers as follow it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        joined: list[str] = []
        taking = False
        for word in args:
            if taking and word.isdigit():
                joined[-1] = f"{joined[-1]}x{word}" if joined[-1] != "--input" else joined[-1]
                if joined[-1] == "--input":
                    joined.append(word)
                continue
            taking = word == "--input"
            joined.append(word)
        return super().parse_args(ctx, joined)


class Sizes(click.ParamType[tuple[int, ...]]):
    """Sizes as 227x227, 3×227×227, 1,3,227,227 or as numbers one after the other."""

    name = "sizes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        words = str(value).replace("×", "x").replace(",", "x").split("x")
        if not all(word.isdigit() and int(word) > 0 for word in words):
            self.fail(f"{value!r} is not a shape: write H W, C H W or N C H W", param, ctx)
        return tuple(int(word) for word in words)
