"""The command line: `protonet COMMAND …`, one file per command, loaded when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from protonet.cli.failure import plain_failures
from protonet.cli.near_names import NearNames
from protonet.cli.python_layers import refuse_python_layers

__all__ = ["main"]

COMMANDS = {
    "check": ("protonet.cli.check:check", "Tell what is wrong with nets and solvers."),
    "summary": ("protonet.cli.summary:summary", "Show a net's shapes, parameters and costs."),
    "train": ("protonet.cli.train:train", "Train the net of a solver."),
    "test": ("protonet.cli.test:test", "Run a net over its test data and print the mean outputs."),
    "extract": ("protonet.cli.extract:extract", "Write what blobs hold for a net's data."),
    "time": ("protonet.cli.time:time", "Measure how long each layer of a net takes."),
    "plot": ("protonet.cli.plot:plot", "Draw the curves of trainings from their logs."),
    "data": ("protonet.cli.data:data", "Make and look into data sets."),
    "export": ("protonet.cli.export:export", "Write a net for another runtime: ONNX."),
    "surgery": ("protonet.cli.surgery:surgery", "Operate on nets and their trained weights."),
    "classify": ("protonet.cli.classify:classify", "Classify pictures by a trained net."),
    "detect": ("protonet.cli.detect:detect", "Classify windows of pictures by a trained net."),
    "draw": ("protonet.cli.draw:draw", "Draw a net: SVG, PNG and others."),
    "caffe": ("protonet.cli.caffe:caffe", "Take the command line of Caffe's own program."),
    "slide": ("protonet.cli.slide:slide", "Slide a classifier over an image."),
    "convert": (
        "protonet.cli.convert:convert",
        "Convert by file suffix: prototxt, caffemodel, ONNX, HDF5.",
    ),
    "diff": ("protonet.cli.diff:diff", "Tell what is different between two nets."),
    "import": ("protonet.cli.import_:import_", "Read a net of another tool: ONNX."),
    "layers": ("protonet.cli.layers:layers", "List the layer types, or explain one."),
}


class Commands(NearNames):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help) for name, (_, help) in COMMANDS.items()])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # a terminal without × still gets the numbers
                stream.reconfigure(errors="replace")
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with plain_failures():
            result = super().invoke(ctx)
            sys.stdout.flush()  # a full disk is told here, not while Python shuts down
            return result


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from protonet import __version__

    click.echo(f"protonet {__version__}")
    ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version,
    help="Show the version and exit.",
)  # fmt: skip
@click.pass_context
def main(context: click.Context) -> None:
    """Compile, check, train and run neural networks described in Caffe's text files.

    `protonet COMMAND --help` explains a command. PROTONET_DEBUG=traceback shows where in
    protonet an error came from.
    """
    refuse_python_layers(context)
