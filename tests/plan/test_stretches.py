"""Stretches: a batch that is run image by image gives what it gives as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import pytest
from drawn_nets import assert_same, drawn_nets, net_of, values_for
from hypothesis import given, settings

import protonet
from protonet import kernels

FIRE = """
layer {{ name: "in" type: "Input" top: "data" input_param {{ shape {{ dim: {n} dim: 3 dim: 60 dim: 60 }} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 32 kernel_size: 3 pad: 1 }} }}
layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "conv" }}
layer {{ name: "squeeze" type: "Convolution" bottom: "conv" top: "squeeze"
  convolution_param {{ num_output: 8 kernel_size: 1 }} }}
layer {{ name: "one" type: "Convolution" bottom: "squeeze" top: "one"
  convolution_param {{ num_output: 16 kernel_size: 1 }} }}
layer {{ name: "three" type: "Convolution" bottom: "squeeze" top: "three"
  convolution_param {{ num_output: 16 kernel_size: 3 pad: 1 }} }}
layer {{ name: "concat" type: "Concat" bottom: "one" bottom: "three" bottom: "data" top: "concat" }}
layer {{ name: "pool" type: "Pooling" bottom: "concat" top: "pool"
  pooling_param {{ kernel_size: 3 stride: 2 }} }}
layer {{ name: "ip" type: "InnerProduct" bottom: "pool" top: "ip" inner_product_param {{ num_output: 5 }} }}
"""  # noqa: E501


@contextmanager
def whatever_it_costs() -> Iterator[None]:
    """Runs image by image also where that does not pay."""
    with (
        patch("protonet.plan.stretches.CACHED_BYTES", 0),
        patch("protonet.plan.stretches.WEIGHT_SHARE", 10**9),
    ):
        yield


@settings(max_examples=150, deadline=None)
@given(drawn_nets())
def test_any_net_computes_the_same(drawn: tuple[str, list[str]]) -> None:
    text, kept = drawn
    with whatever_it_costs():
        assert_same(net_of(text), kept)


def test_a_batch_too_large_for_caches_runs_image_by_image() -> None:
    net = net_of(FIRE.format(n=5))
    plan = assert_same(net)
    assert [line.split(":")[0] for line in str(plan).split("\n")] == [
        "image by image", "  Convolution conv", "  Convolution squeeze", "  Convolution one",
        "  Convolution three", "  Concat concat", "  Pooling pool", "InnerProduct ip",
    ]  # fmt: skip
    assert "image by image" not in str(protonet.compile(net_of(FIRE.format(n=1))))


def test_operations_of_a_stretch_are_timed_one_by_one() -> None:
    operations, _ = protonet.compile(net_of(FIRE.format(n=5))).time(2)
    assert [operation.text.split(":")[0] for operation in operations][:2] == [
        "Convolution conv", "Convolution squeeze",
    ]  # fmt: skip


def test_a_blob_inside_a_stretch_can_be_kept() -> None:
    assert_same(net_of(FIRE.format(n=5)), ["squeeze", "three"])


@pytest.mark.parametrize("n", [2, 5, 8])
def test_bits_do_not_depend_on_the_number_of_threads(n: int) -> None:
    net = net_of(FIRE.format(n=n))
    inputs = values_for(net)
    before, found = kernels.threads(), []
    try:
        for threads in (1, 2, 3, 7):
            kernels.choose_threads(threads)
            found.append(protonet.compile(net).run(**inputs)["ip"])
    finally:
        kernels.choose_threads(before)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
