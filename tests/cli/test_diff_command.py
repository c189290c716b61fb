"""`protonet diff` tells in words, or as JSON, and by its exit code, whether two nets differ."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from protonet.cli import main


def diff(*words: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["diff", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def test_nets_that_are_the_same(golden: Path) -> None:
    net, weights = golden / "nets" / "lenet.prototxt", golden / "nets" / "lenet.caffemodel"
    code, text = diff(net, weights, "--weights", weights)
    assert (code, text.splitlines()[-1]) == (0, "no difference")
    assert "8 parameters alike" in text


def test_nets_that_differ(golden: Path, tmp_path: Path) -> None:
    net = golden / "nets" / "lenet.prototxt"
    other = tmp_path / "other.prototxt"
    other.write_text(net.read_text().replace("num_output: 500", "num_output: 400"))
    code, text = diff(net, other)
    assert code == 1
    assert "layer ip1: inner_product_param.num_output 500 → 400" in text
    assert "the first blob that differs: ip1" in text


def test_differences_as_json(golden: Path, tmp_path: Path) -> None:
    net = golden / "nets" / "lenet.prototxt"
    other = tmp_path / "other.prototxt"
    other.write_text(net.read_text().replace("num_output: 500", "num_output: 400"))
    code, text = diff(net, other, "--format", "json")
    found = json.loads(text)
    assert (code, found["version"], found["same"]) == (1, 1, False)
    assert found["layers"]["changed"] == [
        {"layer": "ip1", "field": "inner_product_param.num_output", "a": "500", "b": "400"}
    ]
    assert found["blobs"]["first"]["name"] == "ip1"


def test_both_run_on_a_picture(golden: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.effect_noise((28, 28), 50).save(tmp_path / "noise.png")
    net = golden / "nets" / "lenet.prototxt"
    code, text = diff(net, net, "--image", tmp_path / "noise.png", "--scale-values", "0.004")
    assert (code, "7 blobs alike" in text) == (0, True)


def test_more_weights_than_nets_are_refused(golden: Path) -> None:
    net, weights = golden / "nets" / "lenet.prototxt", golden / "nets" / "lenet.caffemodel"
    code, text = diff(weights, weights, "--weights", weights)
    assert (code, "0 prototxts" in text) == (1, True)
    code, text = diff(net, tmp := golden / "none.prototxt")
    assert (code, str(tmp) in text) == (1, True)
