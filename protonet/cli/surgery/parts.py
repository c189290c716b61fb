"""The operations of `protonet surgery` whose work is on a net's layers and names."""

from __future__ import annotations

import click

from .options import finish, net_and_weights, pairs, read

__all__ = ["deploy", "drop", "extract", "merge", "prune_dead", "rename", "upgrade"]


_stages = click.option(
    "--stage", "stages", multiple=True, metavar="NAME",
    help="A stage for include and exclude rules; may be repeated.",
)  # fmt: skip


@click.command()
@net_and_weights
@click.option(
    "--shape", "shapes", multiple=True, metavar="CxHxW|BLOB=NxC…",
    help="The shape of the input, where the data layers' settings do not tell it; or of one input "
    "by its name, with the batch, which may be repeated.",
)  # fmt: skip
@click.option("--all-heads", is_flag=True, help="Keep auxiliary classifiers too.")
@_stages
def deploy(
    net: str,
    weights: str | None,
    out_net: str | None,
    out_weights: str | None,
    shapes: tuple[str, ...],
    all_heads: bool,
    stages: tuple[str, ...],
) -> None:
    """Make the net for use of the net that trains: data and losses out, Input and Softmax in."""
    from protonet.surgery.deploy import deploy as operate

    named = dict(_shape(text) for text in shapes)
    done = operate(
        read(net, weights, out_net, out_weights, stages),
        shape=named.pop("", None), shapes=named, all_heads=all_heads,
    )  # fmt: skip
    finish(done, out_net, out_weights)


def _shape(text: str) -> tuple[str, list[int]]:
    """Reads C×H×W, or BLOB=N×C×…, as a name, which may be empty, and sizes."""
    from protonet.prototxt.diagnostics import Error

    blob, _, sizes = text.rpartition("=")
    words = sizes.replace("×", "x").replace(",", "x").split("x")
    if not all(w.isdigit() and int(w) > 0 for w in words) or not (blob or len(words) in (3, 4)):
        raise Error(f'--shape "{text}": write C×H×W, as in 3x227x227, or BLOB=N×C×H×W')
    return blob, [int(word) for word in words]


@click.command()
@net_and_weights
@click.option(
    "--to", "outputs", multiple=True, required=True, metavar="BLOB",
    help="An output that stays, by the name of its blob or layer; may be repeated.",
)  # fmt: skip
@click.option(
    "--from", "inputs", multiple=True, metavar="BLOB",
    help="A blob that becomes an input; may be repeated.",
)  # fmt: skip
@_stages
def extract(
    net: str,
    weights: str | None,
    out_net: str | None,
    out_weights: str | None,
    outputs: tuple[str, ...],
    inputs: tuple[str, ...],
    stages: tuple[str, ...],
) -> None:
    """Keep the layers of phase TEST that lead to an output, from the inputs or from the start."""
    from protonet.surgery.subnet import extract as operate

    done = operate(read(net, weights, out_net, out_weights, stages), outputs, inputs)
    finish(done, out_net, out_weights)


@click.command()
@net_and_weights
@click.option(
    "--layer", "layers", multiple=True, required=True, metavar="NAME",
    help="A layer to take out; may be repeated.",
)  # fmt: skip
@click.option("--bridge", is_flag=True, help="Join what comes after a layer to what was before it.")
def drop(
    net: str,
    weights: str | None,
    out_net: str | None,
    out_weights: str | None,
    layers: tuple[str, ...],
    bridge: bool,
) -> None:
    """Take layers out, and all that lives on what they make."""
    from protonet.surgery.subnet import drop_layers

    done = drop_layers(read(net, weights, out_net, out_weights), layers, bridge=bridge)
    finish(done, out_net, out_weights)


@click.command("prune-dead")
@net_and_weights
@click.option(
    "--to", "outputs", multiple=True, metavar="BLOB",
    help="An output that is needed; without it losses and accuracies, or else all outputs.",
)  # fmt: skip
def prune_dead(
    net: str,
    weights: str | None,
    out_net: str | None,
    out_weights: str | None,
    outputs: tuple[str, ...],
) -> None:
    """Take out layers whose results nothing needs."""
    from protonet.surgery.subnet import prune_dead as operate

    finish(operate(read(net, weights, out_net, out_weights), outputs), out_net, out_weights)


@click.command()
@net_and_weights
@click.option("--with", "other", required=True, metavar="NET2", help="The second net.")
@click.option("--with-weights", "other_weights", metavar="WEIGHTS2", help="Its weights.")
@click.option(
    "--join", "joints", multiple=True, required=True, metavar="BLOB=INPUT2",
    help="A blob of NET and the input of NET2 that it takes the place of; may be repeated.",
)  # fmt: skip
@click.option("--prefix", default="", help="What goes before the names of NET2.")
def merge(
    net: str,
    weights: str | None,
    out_net: str | None,
    out_weights: str | None,
    other: str,
    other_weights: str | None,
    joints: tuple[str, ...],
    prefix: str,
) -> None:
    """Put two nets into one: the second reads what the first makes, or both the same input."""
    from protonet.surgery.merge import merge as operate
    from protonet.surgery.trained_net import read_trained_net

    first = read(net, weights, out_net, out_weights)
    second = read_trained_net(other, other_weights)
    done = operate(first, second, pairs(joints, "--join"), prefix=prefix)
    finish(done, out_net, out_weights)


@click.command()
@net_and_weights
@click.option("--layer", "layers", multiple=True, metavar="OLD=NEW", help="May be repeated.")
@click.option("--blob", "blobs", multiple=True, metavar="OLD=NEW", help="May be repeated.")
@click.option("--prefix", default="", help="What goes before all other names.")
def rename(
    net: str,
    weights: str | None,
    out_net: str | None,
    out_weights: str | None,
    layers: tuple[str, ...],
    blobs: tuple[str, ...],
    prefix: str,
) -> None:
    """Give layers and blobs other names; a blob named as its layer goes with it."""
    from protonet.surgery.names import rename as operate

    done = operate(
        read(net, weights, out_net, out_weights), pairs(layers, "--layer"),
        pairs(blobs, "--blob"), prefix=prefix,
    )  # fmt: skip
    finish(done, out_net, out_weights)


@click.command()
@net_and_weights
def upgrade(net: str, weights: str | None, out_net: str | None, out_weights: str | None) -> None:
    """Write an old net, and its weights, in the current format."""
    from protonet.ir.document import read_net_document

    done = read(net, weights, out_net, out_weights)
    done.changes += [found.message for found in read_net_document(net).diagnostics]
    finish(done, out_net, out_weights)
