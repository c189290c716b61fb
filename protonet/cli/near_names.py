"""A group of commands that names the nearest one to a name it does not have."""

from __future__ import annotations

import click

__all__ = ["NearNames"]


class NearNames(click.Group):
    """A group that asks `did you mean` where it has no such command."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.list_commands(ctx):
            from protonet.prototxt.diagnostics import nearest

            near = nearest(args[0], self.list_commands(ctx))
            if near is not None:
                ctx.fail(f'no such command: "{args[0]}"; did you mean "{near}"?')
        return super().resolve_command(ctx, args)
