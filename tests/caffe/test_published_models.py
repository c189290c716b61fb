"""Published models run as in the scripts that people wrote for pycaffe; what comes out is compared
with what Caffe itself gave."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import protonet.caffe as caffe

RECORDED = [
    "cifar10_everpeace__cifar10_full__cifar_test_11",
    "cifar10_everpeace__cifar10_quick__cifar_test_11",
    "cifar10_full_h5_jwcom79__cifar10_full__cifar_test_11",
    "lenet_everpeace__lenet__t10k_100",
    "mtcnn__det1__mtcnn_test1",
    "mtcnn__det2__mtcnn_test1",
    "mtcnn__det3__mtcnn_test1",
    "open_nsfw__deploy__cat",
    "open_nsfw__deploy__mtcnn_test1",
    "wechat_qr__detect__jsqr_0",
    "wechat_qr__sr__jsqr_0",
]


@pytest.mark.parametrize("name", RECORDED)
def test_outputs_are_caffes(shared: Path, name: str) -> None:
    recorded = np.load(shared / "golden/models" / f"{name}.npz")
    meta = json.loads(str(recorded["meta"]))
    models = shared / "models"
    net = caffe.Net(str(models / meta["prototxt"]), caffe.TEST, weights=str(models / meta["model"]))
    data = recorded["in/data"]
    net.blobs["data"].reshape(*data.shape)
    net.blobs["data"].data[...] = data
    out = net.forward(blobs=meta["intermediate"])
    assert sorted(net.outputs) == sorted(meta["outputs"])
    for blob, values in out.items():
        wanted = recorded[f"out/{blob}"]
        assert values.shape == wanted.shape
        np.testing.assert_allclose(values, wanted, meta["rtol"], meta["atol"], err_msg=blob)


@pytest.fixture(scope="module")
def nsfw(shared: Path) -> caffe.Net:
    folder = shared / "models/open_nsfw"
    return caffe.Net(
        str(folder / "deploy.prototxt"),
        caffe.TEST,
        weights=str(folder / "resnet_50_1by2_nsfw.caffemodel"),
    )


@pytest.mark.parametrize("image", ["cat", "mtcnn_test1"])
def test_a_picture_is_prepared_by_the_transformer(
    shared: Path, nsfw: caffe.Net, image: str, tmp_path: Path
) -> None:
    recorded = np.load(shared / f"golden/models/open_nsfw__deploy__{image}.npz")
    with Image.open(shared / "images" / f"{image}.jpg") as picture:
        resized = picture.convert("RGB").resize((256, 256), resample=Image.Resampling.BILINEAR)
        resized.save(tmp_path / "resized.png")
    transformer = caffe.io.Transformer({"data": nsfw.blobs["data"].data.shape})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_mean("data", np.array([104, 117, 123]))
    transformer.set_raw_scale("data", 255)
    transformer.set_channel_swap("data", (2, 1, 0))
    loaded = caffe.io.load_image(str(tmp_path / "resized.png"))
    height, width, _ = loaded.shape
    _, _, h, w = nsfw.blobs["data"].data.shape
    top, left = (height - h) // 2, (width - w) // 2
    crop = loaded[top : top + h, left : left + w, :]
    prepared = transformer.preprocess("data", crop)
    prepared.shape = (1, *prepared.shape)
    np.testing.assert_allclose(prepared, recorded["in/data"], atol=1e-3)
    name = nsfw.inputs[0]
    found = nsfw.forward_all(blobs=["prob"], **{name: prepared})["prob"][0].astype(float)
    np.testing.assert_allclose(found, recorded["out/prob"][0], rtol=1e-3, atol=1e-4)


def test_ten_pieces_of_a_picture_agree_with_their_mean(shared: Path) -> None:
    folder = shared / "models/open_nsfw"
    classifier = caffe.Classifier(
        str(folder / "deploy.prototxt"), str(folder / "resnet_50_1by2_nsfw.caffemodel"),
        image_dims=(256, 256), mean=np.array([104, 117, 123]), raw_scale=255,
        channel_swap=(2, 1, 0),
    )  # fmt: skip
    cat = caffe.io.load_image(str(shared / "images/cat.jpg"))
    pieces = caffe.io.oversample([caffe.io.resize_image(cat, (256, 256))], (224, 224))
    name = classifier.inputs[0]
    fed = np.asarray([classifier.transformer.preprocess(name, piece) for piece in pieces])
    classifier.blobs[name].reshape(*fed.shape)
    each = classifier.forward(**{name: fed})["prob"].copy()
    assert (each[:, 0] > 0.99).all()
    classifier.blobs[name].reshape(1, 3, 224, 224)
    np.testing.assert_allclose(classifier.predict([cat])[0], each.mean(0), rtol=1e-4, atol=1e-7)


def scaled(picture: np.ndarray, scale: float) -> np.ndarray:
    height, width = (int(np.ceil(size * scale)) for size in picture.shape[:2])
    resized = Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)
    return (np.asarray(resized).astype(np.float32) - 127.5) * 0.0078125


def suppressed(boxes: np.ndarray, threshold: float) -> np.ndarray:
    """Non-maximum suppression of rows x1, y1, x2, y2, score."""
    kept: list[np.ndarray] = []
    for box in boxes[np.argsort(-boxes[:, 4])]:
        if all(overlap(box, other) <= threshold for other in kept):
            kept.append(box)
    return np.array(kept).reshape(-1, 5)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:4], b[2:4]) - np.maximum(a[:2], b[:2])
    common = float(np.prod(sides.clip(0)))
    return common / float(np.prod(a[2:4] - a[:2]) + np.prod(b[2:4] - b[:2]) - common)


def squares(boxes: np.ndarray) -> np.ndarray:
    side = (boxes[:, 2:4] - boxes[:, :2]).max(1, keepdims=True)
    centre = (boxes[:, :2] + boxes[:, 2:4]) / 2
    return np.hstack([np.round(centre - side / 2), np.round(centre + side / 2), boxes[:, 4:]])


def cut(picture: np.ndarray, boxes: np.ndarray, size: int) -> np.ndarray:
    """Cuts boxes out as net inputs; axes of width and height are exchanged, as Matlab has them."""
    image = Image.fromarray(picture)
    pieces = [
        image.crop(tuple(box[:4])).resize((size, size), Image.Resampling.BILINEAR)
        for box in boxes.astype(int)
    ]
    stacked = np.stack([np.asarray(piece) for piece in pieces]).astype(np.float32)
    return ((stacked - 127.5) * 0.0078125).transpose(0, 3, 2, 1)


def refined(boxes: np.ndarray, offsets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    sizes = np.tile(boxes[:, 2:4] - boxes[:, :2], 2)
    return np.hstack([boxes[:, :4] + offsets * sizes, scores[:, None]])


@pytest.mark.filterwarnings("ignore:Net.file, weights, phase:DeprecationWarning")
def test_faces_are_found_by_three_nets_that_are_reshaped_all_the_time(shared: Path) -> None:
    """The cascade of Zhang et al. 2016, the first net over a pyramid of the picture."""
    folder = shared / "models/mtcnn"
    first, second, third = (
        caffe.Net(str(folder / f"det{n}.prototxt"), str(folder / f"det{n}.caffemodel"), caffe.TEST)
        for n in (1, 2, 3)
    )
    with Image.open(shared / "images/mtcnn_test1.jpg") as image:
        picture = np.asarray(image.convert("RGB"))
    found, scale = [], 12 / 30
    while min(picture.shape[:2]) * scale >= 12:
        fed = scaled(picture, scale).transpose(2, 1, 0)[np.newaxis]
        first.blobs["data"].reshape(*fed.shape)
        first.blobs["data"].data[...] = fed
        out = first.forward()
        score = out["prob1"][0, 1]
        x, y = np.nonzero(score > 0.6)
        corners = np.stack([2 * x, 2 * y, 2 * x + 12, 2 * y + 12], 1) / scale
        offsets = out["conv4-2"][0][:, x, y].T
        found.append(suppressed(refined(corners, offsets, score[x, y]), 0.5))
        scale *= 0.709
    boxes = squares(suppressed(np.vstack(found), 0.7))
    for net, size, offsets_name, threshold in (
        (second, 24, "conv5-2", 0.7),
        (third, 48, "conv6-2", 0.7),
    ):
        fed = cut(picture, boxes, size)
        net.blobs["data"].reshape(*fed.shape)
        out = net.forward(data=fed)
        score = out["prob1"][:, 1]
        good = score > threshold
        boxes = refined(boxes[good], out[offsets_name][good], score[good])
        boxes = suppressed(boxes, 0.7 if net is second else 0.3)
        if net is second:
            boxes = squares(boxes)
    assert len(boxes) == 2
    assert (boxes[:, 4] > 0.99).all()
    heights = boxes[:, 3] - boxes[:, 1]
    assert ((heights > 50) & (heights < 200)).all()
