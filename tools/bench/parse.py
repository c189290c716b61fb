"""Times reading a net's text here and in google.protobuf.text_format: same text, taken in turn.

    python tools/bench/parse.py [FILE] [--rounds 25] [--json FILE]

Without a file, the text is a deploy net of ResNet-152's size that is made here. Both make the
same NetParameter, ours with the source map. Medians over the rounds; the ratio is the median
of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from google.protobuf import text_format

from protonet.ir.protonet_pb2 import NetParameter
from protonet.prototxt import Error, parse_text, read_text

STAGES = (3, 8, 36, 3)
MOST_TIMES_GOOGLE = 4.0


def resnet152() -> str:
    """Write a deploy net with ResNet-152's layers: about 100 KB, 513 layers."""
    blocks = ['name: "ResNet-152"\ninput: "data"\ninput_dim: [1, 3, 224, 224]\n']

    def layer(name: str, kind: str, bottoms: list[str], top: str, *param: str) -> None:
        lines = [f'\tbottom: "{bottom}"' for bottom in bottoms]
        lines += [f'\ttop: "{top}"', f'\tname: "{name}"', f'\ttype: "{kind}"']
        if param:
            field, *values = param
            lines += [f"\t{field} {{", *(f"\t\t{value}" for value in values), "\t}"]
        blocks.append("\n".join(["layer {", *lines, "}\n"]))

    def convolution(name: str, bottom: str, channels: int, kernel: int, stride: int) -> None:
        layer(
            name, "Convolution", [bottom], name, "convolution_param",
            f"num_output: {channels}", f"kernel_size: {kernel}", f"pad: {kernel // 2}",
            f"stride: {stride}", "bias_term: false",
        )  # fmt: skip
        layer(f"bn_{name}", "BatchNorm", [name], name, "batch_norm_param", "use_global_stats: true")
        layer(f"scale_{name}", "Scale", [name], name, "scale_param", "bias_term: true")

    def relu(top: str) -> None:
        layer(f"{top}_relu", "ReLU", [top], top)

    convolution("conv1", "data", 64, 7, 2)
    relu("conv1")
    layer("pool1", "Pooling", ["conv1"], "pool1", "pooling_param", "pool: MAX", "kernel_size: 3")
    last = "pool1"
    for stage, count in enumerate(STAGES):
        channels = 64 << stage
        for index in range(count):
            block = f"res{stage + 2}b{index}"
            stride = 2 if stage and not index else 1
            shortcut = last
            if not index:
                shortcut = f"{block}_branch1"
                convolution(shortcut, last, channels * 4, 1, stride)
            a, b, c = (f"{block}_branch2{letter}" for letter in "abc")
            convolution(a, last, channels, 1, stride)
            relu(a)
            convolution(b, a, channels, 3, 1)
            relu(b)
            convolution(c, b, channels * 4, 1, 1)
            layer(block, "Eltwise", [shortcut, c], block)
            relu(block)
            last = block
    layer("fc1000", "InnerProduct", [last], "fc1000", "inner_product_param", "num_output: 1000")
    layer("prob", "Softmax", ["fc1000"], "prob")
    return "\n".join(blocks)


def milliseconds(call: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def main() -> int:
    """Print both medians and their ratio; 1 when ours takes more than 4 times google's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", help="a net's text")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--json", type=Path, help="write the result here, too")
    arguments = parser.parse_args()

    try:
        text = read_text(arguments.file) if arguments.file else resnet152()
        parse_text(text, NetParameter, arguments.file or "<made>")
    except Error as error:
        print(error)
        return 1
    name = arguments.file or "net of ResNet-152's size"
    if parse_text(text, NetParameter)[0] != text_format.Parse(text, NetParameter()):
        print("the two do not read the same message")
        return 1
    rounds = [
        (
            milliseconds(lambda: parse_text(text, NetParameter)),
            milliseconds(lambda: text_format.Parse(text, NetParameter())),
        )
        for _ in range(arguments.rounds)
    ]
    ours, googles = (statistics.median(times) for times in zip(*rounds, strict=True))
    ratio = statistics.median(mine / google for mine, google in rounds)
    print(f"{name}, {len(text) / 1e3:.0f} KB: {ours:.1f} ms to parse and bind; "
          f"google.protobuf.text_format {googles:.1f} ms; ratio {ratio:.2f} "
          f"(at most {MOST_TIMES_GOOGLE:g})")  # fmt: skip
    if arguments.json:
        result = {"ms": ours, "google_ms": googles, "ratio": ratio, "bytes": len(text)}
        arguments.json.write_text(json.dumps(result) + "\n")
    return int(ratio > MOST_TIMES_GOOGLE)


if __name__ == "__main__":
    raise SystemExit(main())
