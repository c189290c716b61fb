"""The operations of `protonet surgery` whose work is on weights."""

from __future__ import annotations

import click

from .options import finish, net_and_weights, pairs, read

__all__ = ["bilinear", "fold_bn", "share", "transplant"]


@click.command("fold-bn")
@net_and_weights
def fold_bn(net: str, weights: str | None, out_net: str | None, out_weights: str | None) -> None:
    """Fold BatchNorm, BN and Scale into the layer before them, or else those after them.

    The net must be one for use. A layer that cannot be folded stays, and its reason is told.
    """
    from protonet.prototxt.diagnostics import Error
    from protonet.surgery.fold_bn import fold_batch_norm

    if weights is None or out_weights is None or out_net is None:
        raise Error("folding changes net and weights: give WEIGHTS, --out-net and --out-weights")
    finish(fold_batch_norm(read(net, weights, out_net, out_weights)), out_net, out_weights)


@click.command()
@net_and_weights
@click.option("--donor", required=True, metavar="FILE", help="The weights to copy from.")
@click.option(
    "--map", "names", multiple=True, metavar="DONOR=NET",
    help="A layer of the donor's and the net's layer that gets its weights; may be repeated.",
)  # fmt: skip
@click.option(
    "--by-count", is_flag=True,
    help="Copy values in their order where shapes differ and counts agree.",
)  # fmt: skip
@click.option("--skip", is_flag=True, help="Leave layers as they are that do not fit.")
@click.option("--seed", type=int, help="Fixes the fillers of layers that get no weights.")
def transplant(
    net: str,
    weights: str | None,
    out_net: str | None,
    out_weights: str | None,
    donor: str,
    names: tuple[str, ...],
    by_count: bool,
    skip: bool,
    seed: int | None,
) -> None:
    """Copy weights of another net into NET's layers, and tell the shapes.

    Layers go by name, or as --map says. Layers of NET that the donor does not have keep what
    WEIGHTS says, or start from their fillers.
    """
    from protonet.ir.weights import read_weights
    from protonet.prototxt.diagnostics import Error
    from protonet.surgery.trained_net import read_trained_net
    from protonet.surgery.transplant import transplant as operate

    if out_weights is None:
        raise Error("say where to write the weights: --out-weights FILE")
    done = operate(
        read_trained_net(net, weights), read_weights(donor), pairs(names, "--map"),
        by_count=by_count, skip=skip, seed=seed,
    )  # fmt: skip
    finish(done, out_net, out_weights)


@click.command()
@net_and_weights
@click.option(
    "--layer", "layers", multiple=True, required=True, metavar="NAME",
    help="A layer that shares; give at least two, the first one's weights count.",
)  # fmt: skip
def share(
    net: str,
    weights: str | None,
    out_net: str | None,
    out_weights: str | None,
    layers: tuple[str, ...],
) -> None:
    """Let layers use one layer's weights, so that they stay the same in training."""
    from protonet.prototxt.diagnostics import Error
    from protonet.surgery.share import share as operate

    if len(layers) < 2:
        raise Error("give --layer at least twice: the owner, then those that share with it")
    done = operate(read(net, weights, out_net, out_weights), layers)
    finish(done, out_net, out_weights)


@click.command()
@net_and_weights
@click.option(
    "--layer", "layers", multiple=True, metavar="NAME",
    help="A Deconvolution; may be repeated. Without it, all that can be.",
)  # fmt: skip
@click.option("--fix", is_flag=True, help="Set their learning rates to 0.")
def bilinear(
    net: str,
    weights: str | None,
    out_net: str | None,
    out_weights: str | None,
    layers: tuple[str, ...],
    fix: bool,
) -> None:
    """Give Deconvolution layers the weights of bilinear interpolation, each channel by itself.

    Without WEIGHTS, the file of weights that is written has those of these layers alone.
    """
    from protonet.prototxt.diagnostics import Error
    from protonet.surgery.bilinear import bilinear as operate
    from protonet.surgery.trained_net import read_trained_net

    if out_net is None and out_weights is None:
        raise Error("say where to write: --out-weights FILE, --out-net FILE, or both")
    finish(operate(read_trained_net(net, weights), layers, fix=fix), out_net, out_weights)
