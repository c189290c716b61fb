"""tools/data/fetch_mnist.py, without internet."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "data" / "fetch_mnist.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, that wants one small file."""
    found = importlib.util.spec_from_file_location("fetch_mnist", SCRIPT)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    monkeypatch.setattr(module, "FILES", {"digits": hashlib.sha256(b"digits").hexdigest()})
    return module


def test_what_a_mirror_has_is_fetched_and_judged(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in (("bad", b"a page"), ("good", gzip.compress(b"digits"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "digits.gz").write_bytes(content)
    mirrors = [(tmp_path / name).as_uri() for name in ("none", "bad", "good")]
    folder = tmp_path / "made" / "mnist"
    assert script.main(folder, mirrors) == 0
    assert gzip.decompress((folder / "digits.gz").read_bytes()) == b"digits"
    assert script.main(folder, []) == 0
    assert "already there" in capsys.readouterr().out


def test_without_internet_it_says_what_to_do(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(tmp_path, [(tmp_path / "none").as_uri()]) == 1
    told = capsys.readouterr().err
    assert "digits.gz cannot be fetched" in told
    assert "copy the four files into" in told
