"""`protonet classify`: what a trained net makes of pictures."""

from __future__ import annotations

import glob
import os
import time
from typing import Any

import click

from protonet.cli.picture_options import numbers, picture_options, read_array, read_mean

__all__ = ["classify"]


def _height_and_width(
    context: click.Context, option: click.Parameter, text: str | None
) -> list[int] | None:
    sizes = numbers(context, option, text)
    if sizes is not None and (len(sizes) != 2 or min(sizes) < 1):
        raise click.BadParameter(f'"{text}" is no height and width')
    return sizes


@click.command()
@click.argument("input_file", metavar="INPUT")
@click.argument("output_file", metavar="OUTPUT")
@picture_options
@click.option(
    "--center_only",
    "--center-only",
    is_flag=True,
    help="Look at the centre, instead of ten pieces whose results are averaged.",
)
@click.option(
    "--images_dim",
    "--images-dim",
    default="256,256",
    show_default=True,
    callback=_height_and_width,
    metavar="H,W",
    help="The size that pictures are given before pieces are cut.",
)
@click.option(
    "--ext", default="jpg", show_default=True, metavar="END",
    help="How the names of a folder's pictures end.",
)  # fmt: skip
def classify(
    input_file: str,
    output_file: str,
    model_def: str,
    pretrained_model: str,
    gpu: bool,
    mean_file: str | None,
    input_scale: float | None,
    raw_scale: float,
    channel_swap: list[int] | None,
    center_only: bool,
    images_dim: list[int] | None,
    ext: str,
) -> None:
    """Classify INPUT, a picture, a folder of pictures or a .npy of them (N×H×W×C); write the net's
    output as OUTPUT, a .npy with one row for each."""
    import numpy as np

    import protonet.caffe as caffe

    click.echo("GPU mode: the CPU computes" if gpu else "CPU mode")
    classifier = _planned(caffe.Classifier)(
        model_def, pretrained_model, image_dims=images_dim, mean=read_mean(mean_file),
        input_scale=input_scale, raw_scale=raw_scale, channel_swap=channel_swap,
    )  # fmt: skip
    pictures = _pictures(os.path.expanduser(input_file), ext)
    click.echo(f"Classifying {len(pictures)} inputs.")
    start = time.perf_counter()
    predictions = classifier.predict(pictures, not center_only)
    click.echo(f"Done in {time.perf_counter() - start:.2f} s.")
    click.echo(f"Saving results into {output_file}")
    np.save(output_file, predictions)


def _planned(classifier: type[Any]) -> type[Any]:
    """Returns a Classifier that runs a plan, batch by batch: nobody looks at its blobs."""

    class Planned(classifier):  # type: ignore[misc]
        def _run(self, inputs: Any) -> Any:
            import numpy as np

            from protonet.plan import compile

            plan = compile(self._net)
            ((name, pieces),) = inputs.items()
            size = plan.inputs[name][0]
            made = [
                plan.run(**{name: pieces[first : first + size]})
                for first in range(0, len(pieces), size)
            ]
            return {output: np.concatenate([m[output] for m in made]) for output in plan.outputs}

    return Planned


def _pictures(path: str, end: str) -> Any:
    """Reads all pictures; Error if there is none."""
    from protonet.caffe.io import load_image
    from protonet.prototxt.diagnostics import Error

    if path.endswith(".npy"):
        click.echo(f"Loading file: {path}")
        stored = read_array(path)
        if stored.ndim != 4 or not len(stored):
            raise Error(f"{path}: not an array of pictures, N×H×W×C, but {stored.shape}")
        return stored
    if not os.path.isdir(path):
        click.echo(f"Loading file: {path}")
        return [load_image(path)]
    click.echo(f"Loading folder: {path}")
    names = sorted(glob.glob(os.path.join(glob.escape(path), f"*.{end}")))
    if not names:
        raise Error(f"{path}: no picture there ends in .{end}; --ext says how names end")
    return [load_image(name) for name in names]
