"""`protonet classify`, `protonet detect` and `protonet draw`."""

from __future__ import annotations

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import protonet.caffe as caffe
from protonet.cli import main

NET = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 4 dim: 4 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 0.001 } } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""
MODEL = ("--model_def", "net.prototxt", "--pretrained_model", "net.caffemodel")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    caffe.Net("net.prototxt", caffe.TEST).save("net.caffemodel")
    Path("pictures").mkdir()
    random = np.random.default_rng(0)
    for name in ("a.png", "b.png", "c.jpg"):
        pixels = random.integers(256, size=(9, 11, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(Path("pictures") / name)
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(main, args)


def test_a_picture_is_classified() -> None:
    np.save("mean.npy", np.array([104.0, 117.0, 123.0]))
    done = run(
        "classify", "pictures/a.png", "out.npy", *MODEL, "--mean_file", "mean.npy",
        "--images_dim", "6,8", "--input_scale", "0.5",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "Classifying 1 inputs." in done.output
    classifier = caffe.Classifier(
        "net.prototxt", "net.caffemodel", image_dims=(6, 8), raw_scale=255, input_scale=0.5,
        mean=np.load("mean.npy"), channel_swap=(2, 1, 0),
    )  # fmt: skip
    wanted = classifier.predict([caffe.io.load_image("pictures/a.png")])
    np.testing.assert_array_equal(np.load("out.npy"), wanted)


def test_folders_and_arrays_are_classified() -> None:
    options = (*MODEL, "--center_only", "--gpu", "--channel_swap", "", "--raw_scale", "1")
    assert run("classify", "pictures", "out.npy", *options, "--ext", "png").exit_code == 0
    found = np.load("out.npy")
    assert found.shape == (2, 5)
    stacked = [caffe.io.load_image(f"pictures/{name}.png") for name in "ab"]
    np.save("pictures.npy", np.stack(stacked))
    assert run("classify", "pictures.npy", "again.npy", *options).exit_code == 0
    np.testing.assert_array_equal(np.load("again.npy"), found)


def test_a_mean_blob_is_a_mean(folder: Path) -> None:
    mean = caffe.io.array_to_blobproto(np.full((1, 3, 4, 4), 100.0))
    Path("mean.binaryproto").write_bytes(mean.SerializeToString())
    np.save("mean.npy", np.full(3, 100.0))
    for name in ("mean.binaryproto", "mean.npy"):
        done = run("classify", "pictures/a.png", f"{name}.out.npy", *MODEL, "--mean_file", name)
        assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(np.load("mean.binaryproto.out.npy"), np.load("mean.npy.out.npy"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.jpg", "out.npy", *MODEL), "nowhere.jpg"),
        (("pictures", "out.npy", *MODEL, "--ext", "gif"), "no picture there ends in .gif"),
        (("pictures/a.png", "out.npy", *MODEL, "--mean_file", "net.prototxt"), "net.prototxt"),
        (("pictures/a.png", "out.npy", *MODEL, "--mean_file", "bad.npy"), "bad.npy"),
        (("pictures/a.png", "out.npy", *MODEL, "--mean_file", "four.npy"), "Mean channels"),
        (("pictures/a.png", "out.npy", *MODEL, "--channel_swap", "1,0"), "Channel swap"),
        (("pictures/a.png", "out.npy", *MODEL, "--channel_swap", "0,1,3"), "has 3 channels"),
        (("pictures/a.png", "out.npy", *MODEL, "--images_dim", "3,9"), "less than the net's input"),
        (("bad.npy", "out.npy", *MODEL), "bad.npy"),
        (("words.npy", "out.npy", *MODEL), "not an array of numbers"),
        (("Text.jpg", "out.npy", *MODEL), "identify image file '"),
    ],
)
def test_what_cannot_be_classified_is_told(arguments: tuple[str, ...], message: str) -> None:
    Path("bad.npy").write_text("no array")
    Path("Text.jpg").write_text("no picture")
    np.save("four.npy", np.zeros(4))
    np.save("words.npy", np.array(["four"]))
    done = run("classify", *arguments)
    assert done.exit_code == 1
    assert message in done.stderr
    assert "Text.jpg" in done.stderr or arguments[0] != "Text.jpg"
    assert not Path("out.npy").exists()


@pytest.mark.parametrize("size", ["4", "4,5,6", "0,8", "-8,8", "eight,8"])
def test_a_size_of_pictures_is_two_numbers(size: str) -> None:
    done = run("classify", "pictures/a.png", "out.npy", *MODEL, f"--images_dim={size}")
    assert done.exit_code == 2
    assert "--images_dim" in done.stderr


def test_windows_of_a_list_are_classified() -> None:
    Path("windows.csv").write_text(
        "filename,ymin,xmin,ymax,xmax\n"
        "pictures/a.png,0,0,5,5\npictures/b.png,1,2,6,8\npictures/a.png,2,2,8,8\n"
    )
    done = run(
        "detect", "windows.csv", "out.csv", *MODEL, "--crop_mode", "list", "--context_pad", "1"
    )
    assert done.exit_code == 0, done.output
    assert "Processed 3 windows" in done.output
    with open("out.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["filename"] for row in rows] == ["pictures/a.png"] * 2 + ["pictures/b.png"]
    assert [row["ymax"] for row in rows] == ["5", "8", "6"]
    for row in rows:
        assert sum(float(row[f"class{n}"]) for n in range(5)) == pytest.approx(1, rel=1e-5)
    done = run(
        "detect", "windows.csv", "out.h5", *MODEL, "--crop_mode", "list", "--context_pad", "0"
    )
    assert done.exit_code == 0, done.output
    with h5py.File("out.h5") as stored:
        assert stored["prediction"].shape == (3, 5)
        assert stored["window"][2].tolist() == [1, 2, 6, 8]
        assert stored["filename"].asstr()[0] == "pictures/a.png"


def test_of_a_mean_image_windows_lose_the_mean_of_each_channel() -> None:
    Path("windows.csv").write_text("filename,ymin,xmin,ymax,xmax\npictures/a.png,1,2,6,8\n")
    image = np.random.default_rng(0).uniform(0, 255, (3, 7, 9))
    np.save("image.npy", image)
    np.save("channels.npy", image.mean((1, 2)))
    for name in ("image", "channels"):
        done = run(
            "detect", "windows.csv", f"{name}.csv", *MODEL, "--crop_mode", "list",
            "--mean_file", f"{name}.npy", "--context_pad", "1",
        )  # fmt: skip
        assert done.exit_code == 0, done.output
    assert Path("image.csv").read_text() == Path("channels.csv").read_text()
    assert "class4" in Path("image.csv").read_text()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("names.txt", (), "selective_search_ijcv_with_python"),
        ("names.txt", ("--crop_mode", "list"), "no windows"),
        ("net.prototxt", (), "not a .csv or .txt"),
        ("five.csv", ("--crop_mode", "list"), "five.csv:3:1"),
        ("nan.csv", ("--crop_mode", "list"), "nan.csv:2:1"),
        ("bytes.csv", ("--crop_mode", "list"), "bytes.csv: not a text in UTF-8"),
        ("empty.csv", ("--crop_mode", "list"), "nothing of the picture is in the window 5, 5"),
        ("far.csv", ("--crop_mode", "list"), "nothing of the picture is in the window 50, 50"),
        ("far.csv", ("--crop_mode", "list", "--context_pad", "1"), "nothing of the picture"),
        ("far.csv", ("--crop_mode", "list", "--context_pad", "2"), "leaves nothing of an input"),
    ],
)
def test_lists_that_are_wrong_are_told(name: str, options: tuple[str, ...], message: str) -> None:
    head = "filename,ymin,xmin,ymax,xmax\n"
    Path("names.txt").write_text("pictures/a.png\n")
    Path("five.csv").write_text(f"{head}\npictures/a.png,0,0,five,5\n")
    Path("nan.csv").write_text(f"{head}pictures/a.png,0,0,nan,5\n")
    Path("bytes.csv").write_bytes(b"\xff\xfe")
    Path("empty.csv").write_text(f"{head}pictures/a.png,5,5,5,9\n")
    Path("far.csv").write_text(f"{head}pictures/a.png,50,50,60,60\n")
    done = run("detect", name, "out.csv", *MODEL, "--context_pad", "0", *options)
    assert done.exit_code == 1
    assert message in done.stderr


def test_a_net_is_drawn_with_shapes_and_parameters() -> None:
    done = run("draw", "net.prototxt", "net.dot", "--rankdir", "TB", "--display_lrm")
    assert done.exit_code == 0, done.output
    text = Path("net.dot").read_text()
    for words in ("rankdir=TB", r"data\n2×3×4×4", "245 parameters", r"prob\n2×5", "lr mult: 1"):
        assert words in text, words
    for name in ("net.png", "net.svg"):
        assert run("draw", "net.prototxt", name).exit_code == 0
    assert Path("net.png").read_bytes().startswith(b"\x89PNG")
    assert b"245 parameters" in Path("net.svg").read_bytes()


def test_one_phase_is_drawn() -> None:
    Path("phases.prototxt").write_text(
        NET + 'layer { name: "s" type: "Silence" bottom: "prob" include { phase: TRAIN } }'
    )
    for phase, drawn in (("TRAIN", True), ("TEST", False), ("ALL", True)):
        assert run("draw", "phases.prototxt", "net.dot", "--phase", phase).exit_code == 0
        assert ("(Silence)" in Path("net.dot").read_text()) == drawn


def test_a_net_whose_shapes_are_wrong_is_drawn_without_them() -> None:
    Path("net.prototxt").write_text(NET.replace("dim: 4 }", "dim: 4 } shape { dim: 1 }"))
    assert run("draw", "net.prototxt", "net.dot").exit_code == 0
    assert "(InnerProduct)" in Path("net.dot").read_text()
    Path("net.prototxt").write_text("layer {")
    done = run("draw", "net.prototxt", "net.dot")
    assert done.exit_code == 1
    assert "net.prototxt:1:" in done.stderr
