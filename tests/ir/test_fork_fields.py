"""Fields of Caffe forks can be read, and it is said when they have no effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from protonet.ir.document import net_document, solver_document
from protonet.prototxt import Diagnostic


def warnings(text: str) -> list[Diagnostic]:
    return [d for d in net_document(text).diagnostics if d.code == "W123"]


def test_a_fork_field_that_nothing_acts_on_is_told_once_at_its_first_place() -> None:
    fuse = "convolution_param { fuse_type: FUSED_CONV_RELU }"
    text = f'layer {{ type: "Convolution"\n{fuse} }}\nlayer {{ type: "Convolution" {fuse} }}\n'
    (warning,) = warnings(text)
    assert warning.spans[0].line == 2
    assert warning.message == (
        "fuse_type has no effect: it is a field of a Caffe fork (so in 2 places)"
    )


@pytest.mark.parametrize(
    "text",
    [
        'layer { type: "Dropout" dropout_param { dropout_ratio: 0.1 } }',
        'layer { type: "Dropout" dropout_param { sample_weights_test: true } }',
        'layer { type: "Data" transform_param { max_rotation: 9 img_rand_resize_lower: 5 } }',
        'layer { type: "ImageSegData" image_data_param { label_type: PIXEL ignore_label: 0 } }',
        'layer { type: "ROIPooling" roi_pooling_param { pooled_h: 7 } }',
        'layer { type: "Interp" interp_param { zoom_factor: 2 } }',
        'layer { type: "BN" bn_param { bn_mode: INFERENCE scale_filler { value: 1 } } }',
        'layer { type: "Convolution" engine: "MKL2017" }',
        'layers { type: RELU top: "x" }',
    ],
)
def test_what_has_its_effect_or_speaks_for_itself_is_not_told(text: str) -> None:
    assert not warnings(text)


@pytest.mark.parametrize(
    "text",
    [
        "default_forward_type: FLOAT16",
        'layer { type: "Convolution" param { force_mult: 1 } }',
        'layer { type: "Convolution" convolution_param { width_group: 2 } }',
        'layer { type: "BatchNorm" batch_norm_param { use_alpha_beta: true } }',
        'layer { type: "Data" transform_param { fix_crop: true } }',
        "layers { type: LRN lrn_param { fuse_type: FUSED_POOL_MAX } }",
    ],
)
def test_fork_fields_in_messages_of_caffe_are_told(text: str) -> None:
    assert len(warnings(text)) == 1


def test_fork_fields_of_solvers_and_of_nets_in_them_are_told() -> None:
    text = "rampup_interval: 3\nnet_param {\nlayer { data_param { shuffle: true } } }"
    found = [d for d in solver_document(text).diagnostics if d.code == "W123"]
    assert {d.spans[0].line for d in found} == {1, 3}


def test_published_nets_of_forks_are_read(shared: Path) -> None:
    nets = [
        "shicai__DenseNet-Caffe/DenseNet_121.prototxt",
        "hszhao__ICNet/evaluation__prototxt__icnet_cityscapes_bnnomerge.prototxt",
        "farmingyard__ShuffleNet/shufflenet_1x_g3_deploy.prototxt",
        "alexgkendall__SegNet-Tutorial/Example_Models__bayesian_segnet_camvid.prototxt",
    ]
    for net in nets:
        text = (shared / "zoo" / net).read_text(encoding="utf-8")
        assert net_document(text).message.layer
