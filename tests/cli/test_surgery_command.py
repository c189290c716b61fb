"""`protonet surgery`: files in, files and what changed out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from surgery_nets import conv, fc, image, trained

from protonet.cli import main
from protonet.surgery.trained_net import read_trained_net

MODELS = Path(__file__).parents[2] / "models"
CLASSIFIER = image(1, 3, 8, 8) + conv("conv1", "data", 4, 3) + fc("fc", "conv1", 5)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    trained(CLASSIFIER).write("net.prototxt", "net.caffemodel")
    pixels = np.random.default_rng(0).integers(0, 255, (12, 14, 3), np.uint8)
    Image.fromarray(pixels).save("image.png")
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["surgery", *args])


def test_fc_to_conv_writes_both_files_and_says_what_changed(folder: Path) -> None:
    done = run(
        "fc-to-conv", "net.prototxt", "net.caffemodel", "--out-net", "slid.prototxt",
        "--out-weights", "slid.caffemodel", "--input", "16", "20", "--verify", "image.png",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    lines = done.stdout.split("\n")
    assert lines[0] == 'layer "fc": InnerProduct → Convolution 6×6, weights 5×4×6×6'
    assert 'output "fc-conv" is 1×5×9×13' in lines
    assert '"fc-conv" over 16×20: 9×13 windows, 1×1 apart' in lines
    assert read_trained_net("slid.prototxt", "slid.caffemodel").blobs["fc-conv"][0].shape == (
        5, 4, 6, 6,
    )  # fmt: skip


def test_operation_that_has_nowhere_to_write_is_refused(folder: Path) -> None:
    done = run("fc-to-conv", "net.prototxt")
    assert done.exit_code == 1
    assert "say where to write" in done.stderr


def test_list_of_operations_is_shown(folder: Path) -> None:
    done = run("--help")
    assert done.exit_code == 0
    assert "fc-to-conv" in done.stdout


def test_each_operation_writes_a_net_that_is_in_order(folder: Path) -> None:
    operations = {
        "rename": ["--layer", "fc=scores"],
        "drop": ["--layer", "fc"],
        "extract": ["--to", "conv1"],
        "prune-dead": ["--to", "conv1"],
        "merge": ["--with", "net.prototxt", "--join", "data=data", "--prefix", "b/"],
        "upgrade": [],
        "deploy": [],
        "transplant": ["--donor", "net.caffemodel"],
        "bilinear": [],
        "fold-bn": [],
    }
    for name, options in operations.items():
        out = ["--out-net", f"{name}.prototxt", "--out-weights", f"{name}.caffemodel"]
        done = run(name, "net.prototxt", "net.caffemodel", *options, *out)
        assert done.exit_code == 0, (name, done.output)
        assert done.stdout.endswith(f"wrote {name}.prototxt and {name}.caffemodel\n")
        read_trained_net(f"{name}.prototxt", f"{name}.caffemodel").views()


def test_inputs_of_a_net_for_use_have_the_shapes_that_are_asked_for(folder: Path) -> None:
    net = str(MODELS / "lstm/train_val.prototxt")
    shapes = ["--shape", "data=20x3x2", "--shape", "cont=20,3"]
    done = run("deploy", net, *shapes, "--out-net", "made.prototxt")
    assert done.exit_code == 0, done.output
    graph = read_trained_net("made.prototxt").view().graph
    made = dict(zip(graph.blob_names, graph.blob_shapes, strict=True))
    assert (made["data"], made["cont"], made["remembered"]) == ((20, 3, 2), (20, 3), (20, 3, 1))
    for shape, words in (
        ("dat=20x3x2", 'did you mean "data"?'), ("20x3", "write C×H×W"), ("data=20xa", "BLOB=N"),
    ):  # fmt: skip
        done = run("deploy", net, *shapes, "--shape", shape, "--out-net", "other.prototxt")
        assert done.exit_code == 1
        assert words in done.stderr


def test_stages_choose_the_layers_of_a_part(folder: Path) -> None:
    given = 'name: "data" type: "DummyData" top: "data" include { phase: TEST stage: "few" }'
    shape = "dummy_data_param { shape { dim: 4 dim: 3 dim: 8 dim: 8 } }"
    body = conv("conv1", "data", 4, 3) + fc("fc", "conv1", 5)
    Path("staged.prototxt").write_text(f"layer {{ {given} {shape} }}\n{body}")
    few = ["staged.prototxt", "--stage", "few"]
    for out, *words in (("for_use", "deploy", *few), ("part", "extract", *few, "--to", "conv1")):
        assert run(*words, "--out-net", out).exit_code == 0
        read_trained_net(out).view()  # without the stage being said again
        done = run(*(word for word in words if word not in few[1:]), "--out-net", out)
        assert done.exit_code == 1
        assert "include and exclude rules leave that layer out" in done.stderr


REFUSED = {
    "one file for both": (["--out-net", "same", "--out-weights", "./same"], "are one file"),
    "a folder as the net": (["--out-net", "folder", "--out-weights", "w"], "this is a folder"),
    "a folder as the weights": (["--out-net", "n", "--out-weights", "folder"], "this is a folder"),
    "weights in no folder": (["--out-net", "n", "--out-weights", "none/w"], "no such file"),
}


@pytest.mark.parametrize(("out", "words"), REFUSED.values(), ids=REFUSED)
def test_nothing_is_written_if_a_file_cannot_be(folder: Path, out: list[str], words: str) -> None:
    Path("folder").mkdir()
    before = sorted(path.name for path in folder.iterdir())
    done = run("rename", "net.prototxt", "net.caffemodel", "--layer", "fc=scores", *out)
    assert done.exit_code == 1
    assert words in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == before


def test_bridge_that_leaves_weights_of_another_size_is_refused(folder: Path) -> None:
    done = run(
        "drop", "net.prototxt", "net.caffemodel", "--layer", "conv1", "--bridge", "--out-net", "n",
        "--out-weights", "w",
    )  # fmt: skip
    assert done.exit_code == 1
    assert "its blob 0 would have to be 5×192, but is 5×144" in done.stderr
    assert not Path("n").exists()


def test_image_that_cannot_be_read_is_told_before_anything_is_written(folder: Path) -> None:
    arguments = ["fc-to-conv", "net.prototxt", "net.caffemodel", "--out-net", "n"]
    done = run(*arguments, "--verify", "net.prototxt")
    assert done.exit_code == 1
    assert "cannot be decoded" in done.stderr
    assert not Path("n").exists()
