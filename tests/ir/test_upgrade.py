"""Nets and solvers of earlier generations become what Caffe's own upgrade makes of them."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protonet.ir import NetParameter, SolverParameter, upgrade_net, upgrade_solver
from protonet.ir.document import net_document, solver_document
from protonet.ir.protonet_pb2 import V1LayerParameter
from protonet.ir.snapshots import snapshot_prefix
from protonet.prototxt import Diagnostic, SourceMap, parse_text

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "upgrade"
CASES = sorted(path.name.removesuffix(".in.prototxt") for path in GOLDEN.glob("*.in.prototxt"))


@pytest.mark.parametrize("case", CASES)
def test_upgrade_gives_what_caffe_gives(case: str) -> None:
    before = (GOLDEN / f"{case}.in.prototxt").read_text(encoding="utf-8")
    after = (GOLDEN / f"{case}.out.prototxt").read_text(encoding="utf-8")
    if case.startswith("solver_"):
        solver, _, diagnostics = upgrade_solver(*parse_text(before, SolverParameter))
        assert solver == parse_text(after, SolverParameter)[0]
    else:
        net, _, diagnostics = upgrade_net(*parse_text(before, NetParameter))
        assert net == parse_text(after, NetParameter)[0]
    assert all(d.code.startswith("I") for d in diagnostics)


def upgraded(text: str) -> tuple[NetParameter, SourceMap, list[Diagnostic]]:
    return upgrade_net(*parse_text(text, NetParameter, "net.prototxt"))


FCN_8S = """
layers { name: "data" type: DUMMY_DATA top: "data"
    dummy_data_param { num: 1 channels: 1 height: 160 width: 96 } }
layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1"
    convolution_param { num_output: 1 kernel_size: 3 pad: 100 } }
layers { name: "relu" type: RELU bottom: "conv1" top: "conv1" }
layers { name: "pool3" type: POOLING bottom: "conv1" top: "pool3"
    pooling_param { kernel_size: 8 stride: 8 } }
layers { name: "pool4" type: POOLING bottom: "pool3" top: "pool4"
    pooling_param { kernel_size: 2 stride: 2 } }
layers { name: "pool5" type: POOLING bottom: "pool4" top: "pool5"
    pooling_param { kernel_size: 2 stride: 2 } }
layers { name: "fc6" type: CONVOLUTION bottom: "pool5" top: "fc6"
    convolution_param { num_output: 1 kernel_size: 7 } }
layers { name: "score2" type: DECONVOLUTION bottom: "fc6" top: "score2"
    convolution_param { num_output: 1 kernel_size: 4 stride: 2 } }
layers { name: "crop" type: CROP bottom: "pool4" bottom: "score2" top: "pool4c" }
layers { name: "fuse" type: ELTWISE bottom: "score2" bottom: "pool4c" top: "fused" }
layers { name: "score4" type: DECONVOLUTION bottom: "fused" top: "score4"
    convolution_param { num_output: 1 kernel_size: 4 stride: 2 } }
layers { name: "crop" type: CROP bottom: "pool3" bottom: "score4" top: "pool3c" }
layers { name: "fuse" type: ELTWISE bottom: "score4" bottom: "pool3c" top: "final" }
layers { name: "up" type: DECONVOLUTION bottom: "final" top: "big"
    convolution_param { num_output: 1 kernel_size: 16 stride: 8 } }
layers { name: "crop" type: CROP bottom: "big" bottom: "data" top: "up" }
"""


def test_a_crop_of_v1_is_cut_where_the_layers_between_say() -> None:
    net, _, _ = upgraded(FCN_8S)
    offsets = [list(layer.crop_param.offset) for layer in net.layer if layer.type == "Crop"]
    assert offsets == [[5, 5], [9, 9], [31, 31]]  # the published FCN-8s


def test_a_crop_of_v1_to_another_scale_is_refused() -> None:
    text = FCN_8S.replace('bottom: "big" bottom: "data"', 'bottom: "final" bottom: "data"')
    _, _, diagnostics = upgraded(text)
    found = diagnostics[-1]
    assert (found.code, found.spans[0].line) == (
        "E124",
        text.splitlines().index(
            'layers { name: "crop" type: CROP bottom: "final" bottom: "data" top: "up" }'
        )
        + 1,
    )


def line(source: SourceMap, *path: str | int) -> int:
    return source.span(path).line


def codes(diagnostics: list[Diagnostic]) -> list[str]:
    return [d.code for d in diagnostics]


V0 = """name: "n"
input: "data" input_dim: 1 input_dim: 3
input_dim: 9 input_dim: 9
layers { layer { name: "pad1" type: "padding"
         pad: 2 }
         bottom: "data" top: "pad1" }
layers { layer { name: "c1" type: "conv"
         num_output: 4
         blobs_lr: 1
         blobs_lr: 2 }
         bottom: "pad1"
         top: "c1" }
"""

V1 = """layers { name: "d" type: DATA top: "x"
  data_param { source: "s"
               scale: 0.5 } }
layers {
  name: "c"
  type: CONVOLUTION
  bottom: "x" top: "c"
  blobs_lr: 1
  blobs_lr: 2
  weight_decay: 0
  convolution_param { num_output: 2
                      kernel_size: 3 } }
"""


def test_each_kind_of_upgrade_is_noted_once_with_its_place() -> None:
    _, _, diagnostics = upgraded(V0)
    assert codes(diagnostics) == ["I103", "I104"]
    assert [d.spans[0].line for d in diagnostics] == [4, 2]
    _, _, diagnostics = upgraded(V1)
    assert codes(diagnostics) == ["I105", "I102"]
    assert [d.spans[0].line for d in diagnostics] == [3, 1]


def test_fields_of_v0_layers_are_found_where_they_were_written() -> None:
    net, source, _ = upgraded(V0)
    assert [layer.name for layer in net.layer] == ["input", "c1"]
    assert line(source, "layer", 0, "top", 0) == 2
    assert line(source, "layer", 0, "input_param", "shape", 0, "dim", 2) == 3
    assert line(source, "layer", 1, "convolution_param", "num_output") == 8
    assert line(source, "layer", 1, "convolution_param", "pad", 0) == 5
    assert line(source, "layer", 1, "param", 1, "lr_mult") == 10
    assert line(source, "layer", 1, "bottom", 0) == 6
    assert line(source, "layer", 1, "top", 0) == 12
    assert line(source, "layer", 1, "type") == 7


def test_fields_of_v1_layers_are_found_where_they_were_written() -> None:
    _, source, _ = upgraded(V1)
    assert line(source, "layer", 0, "transform_param", "scale") == 3
    assert line(source, "layer", 0, "data_param", "source") == 2
    assert line(source, "layer", 1, "type") == 6
    assert line(source, "layer", 1, "param", 0, "lr_mult") == 8
    assert line(source, "layer", 1, "param", 0, "decay_mult") == 10
    assert line(source, "layer", 1, "param", 1, "lr_mult") == 9
    assert line(source, "layer", 1, "convolution_param", "kernel_size", 0) == 12
    assert source.span(("layer", 1)).line == 4


def test_the_net_given_is_not_changed() -> None:
    net, source = parse_text(V0, NetParameter)
    before = net.SerializeToString()
    upgrade_net(net, source)
    assert net.SerializeToString() == before


def test_a_current_net_is_left_alone() -> None:
    text = 'layer { name: "a" type: "ReLU" bottom: "x" top: "x" }'
    net, _, diagnostics = upgraded(text)
    assert net == parse_text(text, NetParameter)[0]
    assert not diagnostics


def test_upgrading_twice_changes_nothing_more() -> None:
    once, source, _ = upgraded(V0)
    twice, _, diagnostics = upgrade_net(once, source)
    assert twice == once
    assert not diagnostics


def test_every_v1_type_has_a_name_of_today() -> None:
    types = [v for v in V1LayerParameter.LayerType.values() if v != V1LayerParameter.NONE]
    net = NetParameter()
    for v1_type in types:
        net.layers.add(type=v1_type)
    upgraded_net = upgrade_net(net, SourceMap())[0]
    assert all(layer.type for layer in upgraded_net.layer)
    assert len({layer.type for layer in upgraded_net.layer}) == len(types)


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ('layer { name: "a" }\nlayers { name: "b" }', "E120", 2),
        ('layers { layer { name: "a"\n type: "cnov" } }', "E121", 2),
        (
            'layers { layer { type: "padding" } bottom: "x" top: "p" }\n'
            'layers { layer { type: "relu" } bottom: "p" top: "y" }',
            "E122",
            1,
        ),
        (
            'layers { layer { type: "padding" } bottom: "x" top: "p" }\n'
            'layers { layer { type: "pool" } bottom: "p" bottom: "x" top: "y" }',
            "E122",
            1,
        ),
        ('input: "a"\ninput_dim: 1 input_dim: 2\ninput_dim: 3', "E123", 3),
        ('input: "a" input: "b"\ninput_shape { dim: 1 }', "E123", 2),
        ('name: "n"\ninput: "a"', "W121", 2),
        ('input: "a" input_shape { dim: 1 }\ninput_shape { dim: 2 }', "W122", 2),
        ('layers { layer { type: "relu"\n kernelsize: 3 } }', "W120", 2),
        ('state { level: 1 }\nlayers { layer { type: "relu" } }', "W120", 1),
        (
            'layer { type: "BatchNorm" param { lr_mult: 0 } param { lr_mult: 0 }\n'
            "param { lr_mult: 1 } }",
            "I106",
            2,
        ),
    ],
)
def test_what_cannot_be_upgraded_quietly_is_said_at_its_place(
    text: str, code: str, where: int
) -> None:
    _, _, diagnostics = upgraded(text)
    found = {d.code: d.spans[0].line for d in diagnostics}
    assert found.get(code) == where


def test_an_unknown_v0_type_gets_the_nearest_as_help() -> None:
    _, _, diagnostics = upgraded('layers { layer { type: "Convv" } }')
    assert [d.help for d in diagnostics if d.code == "E121"] == ['did you mean "conv"?']


def test_v1_layers_among_v0_layers_are_upgraded_too() -> None:
    net, _, _ = upgraded(
        'layers { layer { name: "a" type: "relu" } bottom: "x" top: "a" }\n'
        'layers { name: "b" type: RELU bottom: "a" top: "b" }'
    )
    assert [(layer.name, layer.type) for layer in net.layer] == [("a", "ReLU"), ("b", "ReLU")]


def test_a_solver_with_both_forms_of_its_type_is_an_error() -> None:
    parsed = parse_text('solver_type: ADAM\ntype: "SGD"', SolverParameter)
    _, _, diagnostics = upgrade_solver(*parsed)
    assert [(d.code, d.spans[0].line, d.spans[1].line) for d in diagnostics] == [("E410", 1, 2)]


def test_nets_inside_a_solver_are_upgraded_with_their_places() -> None:
    text = (
        'solver_type: ADAM\ntest_net_param { input: "x"\n'
        "input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4\n"
        'layers {\nname: "r" type: RELU } }'
    )
    solver, source, diagnostics = upgrade_solver(*parse_text(text, SolverParameter))
    net = solver.test_net_param[0]
    assert [layer.type for layer in net.layer] == ["Input", "ReLU"]
    assert line(source, "test_net_param", 0, "layer", 1, "name") == 5
    assert line(source, "test_net_param", 0, "layer", 0, "input_param", "shape", 0, "dim", 3) == 3
    assert [(d.code, d.spans[0].line) for d in diagnostics] == [
        ("I107", 1),
        ("I102", 4),
        ("I104", 2),
    ]
    assert line(source, "type") == 1


def test_snapshots_are_named_after_the_solver_unless_it_says_otherwise(tmp_path: Path) -> None:
    file = "nets/lenet_solver.prototxt"
    folder = str(tmp_path)
    assert snapshot_prefix(SolverParameter(), file) == "nets/lenet_solver"
    assert snapshot_prefix(SolverParameter(snapshot_prefix="out/a"), file) == "out/a"
    in_folder = snapshot_prefix(SolverParameter(snapshot_prefix=folder), file)
    assert in_folder == f"{folder}/lenet_solver"


@settings(max_examples=100, deadline=None)
@given(case=st.sampled_from(CASES), seed=st.integers(0, 2**32))
def test_damaged_nets_and_solvers_are_upgraded_or_diagnosed(case: str, seed: int) -> None:
    text = (GOLDEN / f"{case}.in.prototxt").read_text(encoding="utf-8")
    chance = random.Random(seed)
    tokens = re.findall(r"\w+|\s+|.", text)
    for _ in range(chance.choice([1, 2, 5])):
        at, other = chance.randrange(len(tokens)), chance.randrange(len(tokens))
        tokens[at : at + chance.choice([0, 1, 9])] = tokens[
            other : other + chance.choice([0, 1, 9])
        ]
        tokens = tokens or [" "]
    read = solver_document if case.startswith("solver_") else net_document
    document = read("".join(tokens), strict=False)
    assert all(str(diagnostic) for diagnostic in document.diagnostics)
