"""A plan computes what its net computes, whatever the net's shape."""

from __future__ import annotations

from drawn_nets import assert_same, drawn_nets, net_of
from hypothesis import given, settings


@settings(max_examples=150, deadline=None)
@given(drawn_nets())
def test_any_net_of_any_shape_computes_the_same(drawn: tuple[str, list[str]]) -> None:
    text, kept = drawn
    assert_same(net_of(text), kept)
