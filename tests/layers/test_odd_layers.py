"""Settings, shapes and values that nobody means: refused by an Error, or computed; never worse."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layer_examples import all_examples
from odd_layers import odd_layer, refusals


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_an_odd_layer_runs_or_is_refused_with_its_name(data: st.DataObject) -> None:
    example = data.draw(st.sampled_from(all_examples()))
    layer, bottoms = odd_layer(example, lambda choices: data.draw(st.sampled_from(list(choices))))
    for found in refusals(layer, bottoms, example.phase):
        assert 'layer "layer"' in " ".join((found.message, *found.notes))
        assert found.spans
