"""Nets drawn at random, and whether a plan computes what its net does."""

from __future__ import annotations

import numpy as np
from google.protobuf import text_format
from hypothesis import strategies as st

import protonet
from protonet import NetParameter

TOLERANCE = 1e-4


def net_of(text: str, **settings: object) -> protonet.Net:
    net = protonet.Net(text_format.Parse(text, NetParameter()), seed=3, **settings)
    random = np.random.default_rng(5)
    for layer in net.layers:
        for number, blob in enumerate(layer.blobs):
            blob.data[...] = random.normal(size=blob.shape) * 0.3
            if layer.type == "BatchNorm" and number:
                blob.data[...] = random.uniform(0.5, 2, blob.shape)
    return net


def values_for(net: protonet.Net, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {name: random.normal(size=net.blobs[name].shape) for name in net.inputs}


def assert_same(net: protonet.Net, keep: list[str] | None = None) -> protonet.Plan:
    """Runs net and plan twice on different values; returns the plan."""
    plan = protonet.compile(net, keep=keep or ())
    for seed in range(2):
        inputs = values_for(net, seed)
        net.forward(**inputs)
        made = plan.run(**inputs)
        assert set(made) == {*net.outputs, *(keep or ())}
        for name, array in made.items():
            expected = net.blobs[name].data
            assert array.shape == expected.shape
            scale = np.abs(expected).max() + 1e-30
            np.testing.assert_allclose(array / scale, expected / scale, atol=TOLERANCE)
    return plan


class Drawn:
    """A net drawn layer by layer; all blobs are n × some channels × 8 × 8."""

    def __init__(self, n: int) -> None:
        self.text = [
            'layer { name: "in" type: "Input" top: "b0" '
            f"input_param {{ shape {{ dim: {n} dim: 4 dim: 8 dim: 8 }} }} }}"
        ]
        self.channels = {"b0": 4}
        self.read = {"b0"}  # blobs that cannot be changed in place

    def add(self, kind: str, bottoms: list[str], channels: int, more: str, in_place: bool) -> None:
        top = bottoms[0] if in_place else f"b{len(self.text)}"
        reads = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
        self.text.append(
            f'layer {{ name: "l{len(self.text)}" type: "{kind}" {reads} top: "{top}" {more} }}'
        )
        self.channels[top] = channels
        self.read |= set(bottoms)
        if in_place:
            self.read.remove(top)


def convolution(outputs: int, kernel: int, group: int, bias: bool) -> str:
    return (
        f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} pad: {kernel // 2} "
        f"group: {group} bias_term: {str(bias).lower()} }}"
    )


@st.composite
def drawn_nets(draw: st.DrawFn) -> tuple[str, list[str]]:
    net = Drawn(draw(st.sampled_from([1, 3])))
    for _ in range(draw(st.integers(1, 12))):
        names = sorted(net.channels)
        one = draw(st.sampled_from(names))
        count = net.channels[one]
        in_place = one not in net.read and draw(st.booleans())
        alike = [name for name in names if net.channels[name] == count]
        kind = draw(st.sampled_from([
            "Convolution", "Convolution", "ReLU", "PReLU", "ReLU6", "Clip", "BatchNorm", "Scale",
            "Bias", "Power", "Eltwise", "Eltwise", "Concat", "Pooling", "Dropout", "LRN", "Slice",
            "Reshape", "TanH",
        ]))  # fmt: skip
        if kind == "Convolution":
            outputs = draw(st.sampled_from([4, 8, 18]))
            group = draw(st.sampled_from([1, 2])) if outputs % 2 == count % 2 == 0 else 1
            more = convolution(outputs, draw(st.sampled_from([1, 3])), group, draw(st.booleans()))
            net.add(kind, [one], outputs, more, False)
        elif kind == "Eltwise":
            others = draw(st.lists(st.sampled_from(alike), min_size=1, max_size=2))
            operation = draw(st.sampled_from(["SUM", "SUM", "PROD", "MAX"]))
            more = f"eltwise_param {{ operation: {operation} }}"
            net.add(kind, [one, *others], count, more, False)
        elif kind == "Concat":
            others = draw(st.lists(st.sampled_from(names), max_size=3))
            net.add(kind, [one, *others], sum(net.channels[n] for n in [one, *others]), "", False)
        elif kind == "Slice" and count > 2:
            at = draw(st.integers(1, count - 1))
            first, second = f"b{len(net.text)}", f"c{len(net.text)}"
            net.text.append(
                f'layer {{ name: "l{len(net.text)}" type: "Slice" bottom: "{one}" top: "{first}" '
                f'top: "{second}" slice_param {{ slice_point: {at} }} }}'
            )
            net.channels |= {first: at, second: count - at}
            net.read.add(one)
        elif kind == "Pooling":
            pool = draw(st.sampled_from(["MAX", "AVE"]))
            more = f"pooling_param {{ pool: {pool} kernel_size: 3 pad: 1 }}"
            net.add(kind, [one], count, more, False)
        elif kind == "Reshape":
            more = "reshape_param { shape { dim: 0 dim: 0 dim: 8 dim: 8 } }"
            net.add(kind, [one], count, more, False)
        elif kind == "BatchNorm":
            net.add(kind, [one], count, "", in_place)
        elif kind != "Slice":
            more = {
                "ReLU": "relu_param { negative_slope: 0.1 }",
                "Clip": "clip_param { min: -0.5 max: 0.5 }",
                "Scale": "scale_param { bias_term: true }",
                "Power": "power_param { scale: 0.7 shift: 0.2 }",
            }.get(kind, "")
            net.add(kind, [one], count, more, in_place)
    kept = draw(st.lists(st.sampled_from(sorted(net.channels)), max_size=2, unique=True))
    return "\n".join(net.text), kept
