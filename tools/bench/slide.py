"""Sliding a classifier by conversion, against cropping each window: same scores, and how fast.

    python tools/bench/slide.py [NET [WEIGHTS]] [--size 512] [--pads]

Without NET a VGG-like classifier of 64×64 windows with random weights, whose layers do not pad,
so that the two ways agree; with --pads, or a NET that pads, windows differ at their edges.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from protonet.ir.document import net_document
from protonet.surgery.running import run, running_net
from protonet.surgery.sliding_window import SlidingWindow
from protonet.surgery.trained_net import TrainedNet, read_trained_net

BATCH = 16
Array = npt.NDArray[Any]


def classifier(pads: bool) -> TrainedNet:
    """Returns a net of four convolutions and two fully connected layers, stride 8."""
    text = """name: "windows"
        layer { name: "data" type: "Input" top: "data"
                input_param { shape { dim: 1 dim: 3 dim: 64 dim: 64 } } }
    """
    last = "data"
    for number, (outputs, kernel, pooled) in enumerate(
        ((32, 3, True), (64, 4, True), (128, 3, True), (128, 3, False)), 1
    ):
        pad = kernel // 2 if pads else 0
        text += f"""layer {{ name: "conv{number}" type: "Convolution" bottom: "{last}"
            top: "conv{number}" convolution_param {{ num_output: {outputs} kernel_size: {kernel}
            pad: {pad} weight_filler {{ type: "msra" }} }} }}
            layer {{ name: "relu{number}" type: "ReLU" bottom: "conv{number}"
            top: "conv{number}" }}
        """
        last = f"conv{number}"
        if pooled:
            text += f"""layer {{ name: "pool{number}" type: "Pooling" bottom: "{last}"
                top: "pool{number}" pooling_param {{ kernel_size: 2 stride: 2 }} }}
            """
            last = f"pool{number}"
    for name, outputs in (("fc5", 256), ("fc6", 10)):
        text += f"""layer {{ name: "{name}" type: "InnerProduct" bottom: "{last}" top: "{name}"
            inner_product_param {{ num_output: {outputs} weight_filler {{ type: "msra" }} }} }}
        """
        last = name
    document = net_document(
        text + '\nlayer { name: "prob" type: "Softmax" bottom: "fc6" top: "prob" }'
    )
    found = TrainedNet(document.message, document.source)
    net = running_net(found, seed=1)
    found.blobs = {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}
    return found


def by_crops(trained: TrainedNet, slider: SlidingWindow, image: Array) -> Callable[[], Array]:
    """Returns what runs the net as it is on all windows, in batches."""
    net = running_net(trained, slider.window)
    output = next(n for n in net.outputs if slider.sliding.renamed.get(n, n) == slider.output)
    rows, columns = slider.grid(*image.shape[1:])
    (down, across), (height, width) = slider.stride, slider.window
    places = [(i * down, j * across) for i in range(rows) for j in range(columns)]

    def scores() -> Array:
        found = []
        for start in range(0, len(places), BATCH):
            batch = places[start : start + BATCH]
            crops = [image[:, top : top + height, left : left + width] for top, left in batch]
            run(net, slider.input, np.stack(crops))
            found.append(net.blobs[output].data.reshape(len(batch), -1).copy())
        return np.concatenate(found).T.reshape(-1, rows, columns)

    return scores


def timed(work: Callable[[], Array]) -> tuple[Array, float]:
    """Returns what the work gives and the seconds of the better of two runs after a first one."""
    work()
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return result, min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("net", nargs="?")
    parser.add_argument("weights", nargs="?")
    parser.add_argument("--size", type=int, default=512, help="side of the image, in pixels")
    parser.add_argument("--pads", action="store_true", help="let the built-in net's layers pad")
    given = parser.parse_args()
    trained = read_trained_net(given.net, given.weights) if given.net else classifier(given.pads)
    slider = SlidingWindow(trained)
    random = np.random.default_rng(1)
    image = random.normal(size=(slider.channels, given.size, given.size)).astype(np.float32)
    rows, columns = slider.grid(given.size, given.size)
    crops, crop_seconds = timed(by_crops(trained, slider, image))
    slid, slide_seconds = timed(lambda: slider.scores(image))
    difference = np.abs(slid - crops).max() / np.abs(crops).max()
    print(f"{rows}×{columns} windows of {slider.window[0]}×{slider.window[1]} in {image.shape[1]}²")
    print(f"each by itself: {crop_seconds * 1e3:9.1f} ms")
    faster = f"{crop_seconds / slide_seconds:.1f} times as fast"
    print(f"slid:           {slide_seconds * 1e3:9.1f} ms, {faster}")
    print(f"largest difference, relative: {difference:.1e}")


if __name__ == "__main__":
    main()
