"""Files are replaced whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

import pytest

from protonet.ir.files import atomic_path, atomic_write, map_file
from protonet.prototxt import Error


def test_a_file_is_written(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a") as stream:
        stream.write(b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a"]


def test_the_old_file_stays_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with contextlib.suppress(RuntimeError), atomic_write(path) as stream:
        stream.write(b"half of the ne")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_the_old_file_is_whole_until_the_new_one_is(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with atomic_write(path) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_permissions_are_those_of_the_old_file_or_of_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "a"
    umask = os.umask(0o027)
    try:
        with atomic_write(path) as stream:
            stream.write(b"new")
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    with atomic_write(path) as stream:
        stream.write(b"newer")
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / "a"
    link.symlink_to(tmp_path / "folder" / "b")
    with atomic_write(link) as stream:
        stream.write(b"new")
    assert link.is_symlink()
    assert (tmp_path / "folder" / "b").read_bytes() == b"new"


def test_devices_are_written_to() -> None:
    with atomic_path("/dev/null") as path:
        assert path == "/dev/null"


@pytest.mark.parametrize("name", ["nowhere/a", "folder", "a\0b"])
def test_what_cannot_be_written_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    path = tmp_path / name
    with pytest.raises(Error, match="E314") as caught, atomic_write(path) as stream:
        stream.write(b"new")
    assert str(caught.value).startswith(f"{path}:1:1: ")
    assert os.listdir(tmp_path) == ["folder"]


def test_a_full_disk_is_said() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    with pytest.raises(Error, match="no space left"), atomic_write("/dev/full") as stream:
        stream.write(b"x" * 100_000)


def test_a_missing_file_gets_the_most_similar_name_as_help(tmp_path: Path) -> None:
    (tmp_path / "lenet.caffemodel").write_bytes(b"x")
    with pytest.raises(Error, match="E310") as caught:
        map_file(tmp_path / "lenett.caffemodel")
    assert caught.value.diagnostics[0].help == f"did you mean {tmp_path / 'lenet.caffemodel'}?"


@pytest.mark.parametrize("name", ["", "a\0b", "nowhere/a", "."])
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(Error, match="E310"):
        map_file(os.path.join(tmp_path, name) if name else name)


def test_an_empty_file_has_no_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert len(map_file(tmp_path / "a")) == 0
