"""Every type of layer that runs gives in ONNX what it gives here, tried on the examples of each."""

from __future__ import annotations

import numpy as np
import pytest
from layer_examples import Example, all_examples

from protonet.ir.document import net_document
from protonet.ir.protonet_pb2 import TEST
from protonet.net import Net
from protonet.onnx.exporting.model import check_model, export_net
from protonet.onnx.exporting.registry import layer_writers
from protonet.onnx.verify import compared

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def net_of(names: str, shapes: list[tuple[int, ...]], layer: str) -> Net:
    tops = " ".join(f'top: "{name}"' for name in names.split())
    dims = " ".join("shape { " + " ".join(f"dim: {n}" for n in shape) + " }" for shape in shapes)
    head = f'layer {{ name: "in" type: "Input" {tops} input_param {{ {dims} }} }}\n'
    return Net(net_document((head if names else "") + f'layer {{ name: "l" {layer} }}'), seed=0)


def agrees(net: Net, inputs: dict[str, np.ndarray], dynamic: bool = False) -> None:
    exported = export_net(net, dynamic=dynamic)
    check_model(exported, "model")
    values = {name: array.astype(np.float32) for name, array in inputs.items()}
    assert [str(d) for d in compared(net, exported, values) if not d.is_small] == []


def is_fixed(example: Example) -> bool:
    """Says whether an example runs alike each time, and has something to give."""
    draws = "sample_weights_test: true" in example.settings or "gaussian" in str(
        example.settings if example.type == "DummyData" else ""
    )
    return example.phase == TEST and example.type in layer_writers() and not (
        draws or example.type == "Silence"
    )  # fmt: skip


@pytest.mark.parametrize("example", [e for e in all_examples() if is_fixed(e)], ids=str)
def test_layers_give_in_onnx_what_they_give_here(example: Example) -> None:
    net = net_of(" ".join(example.inputs), [b.shape for b in example.bottoms], example.text)
    for blob, values in zip(net.layers[-1].blobs, example.parameters, strict=False):
        blob.data[...] = values
    agrees(net, example.inputs)


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def regions(count: int, images: int, width: int, height: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    corners = np.floor(np.sort(random.random((2, count, 2)), axis=0) * [width, height])
    return np.concatenate([random.integers(0, images, (count, 1)), *corners], 1)


@pytest.mark.parametrize("dynamic", [False, True])
class TestLayersWithoutAnOperator:
    def test_ends_of_bins_are_rounded_as_here(self, dynamic: bool) -> None:
        settings = "psroi_pooling_param { output_dim: 2 group_size: 3 spatial_scale: 0.5 }"
        text = f'type: "PSROIPooling" bottom: "x" bottom: "r" top: "y" {settings}'
        for seed in range(8):
            net = net_of("x r", [(2, 18, 9, 7), (6, 5)], text)
            agrees(net, {"x": drawn(2, 18, 9, 7), "r": regions(6, 2, 16, 20, seed)}, dynamic)

    @pytest.mark.parametrize("limits", ["pre_nms_topn: 20 post_nms_topn: 5", "post_nms_topn: 0"])
    def test_regions_are_proposed(self, dynamic: bool, limits: str) -> None:
        settings = f"base_size: 8 ratio: 0.5 ratio: 2 scale: 1 feat_stride: 4 min_size: 5 {limits}"
        bottoms = 'bottom: "s" bottom: "o" bottom: "i" top: "y" top: "z"'
        text = f'type: "Proposal" {bottoms} proposal_param {{ {settings} }}'
        net = net_of("s o i", [(2, 4, 5, 6), (2, 8, 5, 6), (2, 3)], text)
        info = np.array([[40, 50, 1.2], [44, 48, 1]])
        agrees(net, {"s": drawn(2, 4, 5, 6), "o": drawn(2, 8, 5, 6) / 2, "i": info}, dynamic)

    @pytest.mark.parametrize("kind", ["YoloDetectionOutput", "DetectionOutput"])
    @pytest.mark.parametrize("least", [0.05, 0.9999])
    def test_boxes_of_a_grid_are_found_or_said_to_be_none(
        self, dynamic: bool, least: float, kind: str
    ) -> None:
        settings = "num_classes: 3 num_box: 2 biases: 1 biases: 2 biases: 2 biases: 0.5"
        text = (
            f'type: "{kind}" bottom: "x" top: "y" '
            f"{'yolo_' if kind[0] == 'Y' else ''}detection_output_param {{ "
            f"{settings} confidence_threshold: {least} }}"
        )
        agrees(net_of("x", [(2, 16, 4, 5)], text), {"x": drawn(2, 16, 4, 5)}, dynamic)

    @pytest.mark.parametrize("fill", ["ZERO", "NOT_A_NUMBER"])
    def test_flow_leads_out_of_the_image(self, dynamic: bool, fill: str) -> None:
        text = (
            'type: "FlowWarp" bottom: "x" bottom: "f" top: "y" flow_warp_param { '
            f"fill_value: {fill} }}"
        )
        net = net_of("x f", [(2, 3, 5, 6), (2, 2, 5, 6)], text)
        agrees(net, {"x": drawn(2, 3, 5, 6), "f": 2 * drawn(2, 2, 5, 6, seed=1)}, dynamic)

    def test_maps_are_correlated_with_strides_and_patches(self, dynamic: bool) -> None:
        settings = (
            "kernel_size: 3 max_displacement: 4 pad: 5 stride_1: 2 stride_2: 2 "
            "correlation_type: SUBTRACT"
        )
        bottoms = 'bottom: "a" bottom: "b" top: "y"'
        text = f'type: "Correlation" {bottoms} correlation_param {{ {settings} }}'
        net = net_of("a b", [(2, 3, 9, 8)] * 2, text)
        agrees(net, {"a": drawn(2, 3, 9, 8), "b": drawn(2, 3, 9, 8, seed=1)}, dynamic)

    def test_unknown_numbers_are_left_out_of_a_mean(self, dynamic: bool) -> None:
        size = "downsample_param { top_height: 3 top_width: 4 }"
        text = f'type: "Downsample" bottom: "x" top: "y" {size}'
        x = drawn(2, 3, 8, 9)
        x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
        agrees(net_of("x", [x.shape], text), {"x": x}, dynamic)

    @pytest.mark.parametrize("share", ["true", "false"])
    @pytest.mark.parametrize("eta", [1, 0.6])
    def test_overlapping_boxes_are_left_out(self, dynamic: bool, share: str, eta: float) -> None:
        random = np.random.default_rng(2)
        low = random.random((12, 2)) * 0.6
        priors = np.stack([np.concatenate([low, low + 0.4], 1).reshape(-1), np.full(48, 0.1)])
        settings = (
            f"num_classes: 3 share_location: {share} background_label_id: 0 keep_top_k: 9 "
            "confidence_threshold: 0.1 code_type: CENTER_SIZE nms_param { nms_threshold: 0.8 "
            f"top_k: 10 eta: {eta} }}"
        )
        places = 1 if share == "true" else 3
        bottoms = 'bottom: "l" bottom: "c" bottom: "p" top: "y"'
        text = f'type: "DetectionOutput" {bottoms} detection_output_param {{ {settings} }}'
        net = net_of("l c p", [(1, 48 * places), (1, 36), (1, 2, 48)], text)
        scores = np.round(random.random((1, 36)), 1)
        if not dynamic:  # priors of any number of images are none
            agrees(net, {"l": drawn(1, 48 * places), "c": scores, "p": priors[None]})
