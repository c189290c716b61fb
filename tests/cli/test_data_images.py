"""`protonet data convert images` and `cifar`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner, Result
from small_data import numbered

from protonet.cli import main
from protonet.data import convert_images, lmdb_writer
from protonet.data.lmdb_source import LmdbSource
from protonet.data.pictures import decode
from protonet.data.resize import resized
from protonet.data.scan import scan
from protonet.ir.protonet_pb2 import Datum

IMAGES = numbered(6)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a folder of two classes, of three images each, and their list."""
    lines = []
    for index, image in enumerate(IMAGES):
        name = f"{'cat' if index < 3 else 'dog'}/{index}.png"
        path = tmp_path / "pets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(image[::-1].transpose(1, 2, 0)).save(path)
        lines.append(f"{name} {10 + index}\n")
    (tmp_path / "list.txt").write_text("".join(lines))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["data", "convert", *arguments])


def convert(*arguments: str) -> Result:
    return run("images", "list.txt", "db", "--root", "pets", *arguments)


def labels(path: str = "db") -> list[int]:
    with LmdbSource(path) as source:
        return [record.label for record in scan(source)]


def images(path: str = "db") -> list[np.ndarray]:
    with LmdbSource(path) as source:
        return [np.array(record.image) for record in scan(source)]


def records(path: str = "db") -> dict[str, Datum]:
    with LmdbSource(path) as source:
        reader = source.reader()
        read = reader.read(0, source.count)
        found = {reader.key(i): Datum.FromString(bytes(r)) for i, r in enumerate(read)}
        reader.close()
    return found


def test_a_list_becomes_a_database(folder: Path) -> None:
    result = convert()
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "db: 6 records of 3×4×5, labels 10 to 15\n"
    np.testing.assert_array_equal(images(), IMAGES)
    assert labels() == [10, 11, 12, 13, 14, 15]
    assert list(records())[4] == "00000004_dog/4.png"


def test_a_folder_of_each_class_becomes_a_database_and_a_list_of_names(folder: Path) -> None:
    (folder / "pets" / "dog" / "notes.txt").write_text("no image")
    result = run("images", "pets", "db")
    assert result.stdout.splitlines()[1] == "db.labels.txt: 2 class names"
    assert labels() == [0, 0, 0, 1, 1, 1]
    assert (folder / "db.labels.txt").read_text() == "cat\ndog\n"


def test_images_are_resized_and_made_gray(folder: Path) -> None:
    convert("--resize", "7x6", "--gray")
    grays = [decode((folder / "pets" / f"cat/{i}.png").read_bytes(), "gray") for i in range(3)]
    np.testing.assert_array_equal(images()[:3], [resized(gray, 7, 6) for gray in grays])


def test_a_size_of_another_form_is_refused(folder: Path) -> None:
    assert "write 256x320, height first" in convert("--resize", "8*8").stderr
    assert convert("--resize", "7").exit_code == 0
    assert images()[0].shape == (3, 7, 7)


def test_encoded_files_are_kept_as_they_are_unless_they_change(folder: Path) -> None:
    file = (folder / "pets" / "cat" / "0.png").read_bytes()
    convert("--encode", "png")
    kept = next(iter(records().values()))
    assert (kept.data, kept.encoded, kept.height, kept.label) == (file, True, 4, 10)
    convert("--force", "--encode", "png", "--resize", "8x8")
    np.testing.assert_array_equal(images()[0], resized(IMAGES[0], 8, 8))
    convert("--force", "--encode", "jpg")
    assert next(iter(records().values())).data[:2] == b"\xff\xd8"
    assert images()[0].shape == (3, 4, 5)


def test_a_shuffled_order_is_the_same_for_a_seed(folder: Path) -> None:
    orders = []
    for seed in ("1", "1", "2"):
        convert("--force", "--shuffle", "--seed", seed)
        orders.append(labels())
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[2]) == [10, 11, 12, 13, 14, 15]


def test_images_of_several_sizes_are_refused_on_request(folder: Path) -> None:
    PIL.Image.new("RGB", (9, 9)).save(folder / "pets" / "dog" / "3.png")
    assert convert().exit_code == 0
    result = convert("--force", "--check-size")
    assert result.exit_code == 1
    assert "list.txt:4: pets/dog/3.png: the image is 3×9×9, but the first is 3×4×5" in result.stderr
    assert len(labels()) == 6  # the old one


def test_bad_images_stop_a_conversion_or_are_left_out_and_listed(folder: Path) -> None:
    (folder / "pets" / "cat" / "1.png").write_bytes(b"no image")
    (folder / "pets" / "dog" / "4.png").unlink()
    with (folder / "list.txt").open("a") as lines:
        lines.write(f"cat/0.png {2**31}\n")
        lines.write("cat/0.png\n")
    result = convert()
    assert result.exit_code == 1
    assert "list.txt:2: pets/cat/1.png: the image cannot be decoded" in result.stderr
    assert not os.path.exists("db")
    result = convert("--skip-bad-records")
    assert result.exit_code == 0
    assert labels() == [10, 12, 13, 15]
    told = result.stderr.splitlines()
    assert [line.split(":")[2] for line in told[:4]] == ["2", "5", "7", "8"]
    assert "pets/dog/4.png: no such file" in told[1]
    assert "label 2147483648 does not fit into 32 bits" in told[2]
    assert told[4] == "4 images were left out"


def test_an_interrupted_conversion_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    convert("--shuffle")
    whole = records()
    monkeypatch.setattr(convert_images, "_IMAGES_AT_A_TIME", 2)
    last = (folder / "pets" / list(whole)[-1].partition("_")[2]).resolve()
    content = last.read_bytes()
    last.write_bytes(b"not now")
    assert convert("--shuffle", "--force").exit_code == 1
    assert records() == whole  # the old one
    last.write_bytes(content)
    result = convert("--shuffle", "--force", "--check-size")  # another plan begins anew
    assert "there before" not in result.stdout
    last.write_bytes(b"not now")
    convert("--shuffle", "--force")
    last.write_bytes(content)
    result = convert("--shuffle", "--force")
    assert "db: 6 records, 5 of them there before; the others of 3×4×5, labels" in result.stdout
    assert records() == whole
    assert not [name for name in os.listdir() if name.startswith(".db")]


def test_a_full_disk_leaves_the_old_database_and_says_how_to_go_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(lmdb_writer.LmdbWriter, "finish", full)
        result = convert("--force", "--gray")
    assert result.exit_code == 1
    assert "cannot write db: no space left on device" in result.stderr
    assert "the same command goes on from there" in result.stderr
    assert images()[0].shape == (3, 4, 5)
    assert "6 of them there before" in convert("--force", "--gray").stdout
    assert images()[0].shape == (1, 4, 5)


LIMITED = """
import resource, sys
from protonet.cli import main
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
sys.argv = ["protonet", "data", "convert", "images", *sys.argv[1:]]
main()
"""


def test_a_file_that_cannot_grow_leaves_the_old_database_whole(folder: Path) -> None:
    convert()
    before = Path("db/data.mdb").read_bytes()
    arguments = ["list.txt", "db", "--root", "pets", "--force", "--resize", "200x200"]
    command = [sys.executable, "-c", LIMITED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "error[E455]: cannot write db: not all of it could be written" in done.stderr
    assert "the same command goes on from there" in done.stderr
    assert "Traceback" not in done.stderr
    assert Path("db/data.mdb").read_bytes() == before
    assert run("images", *arguments).exit_code == 0
    assert images()[5].shape == (3, 200, 200)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("\n\n"), "bad: the list is empty"),
        (lambda path: None, "bad is not there"),
        (lambda path: path.mkdir(), "bad: there are no images in folders of it"),
    ],
    ids=["empty list", "missing", "empty folder"],
)
def test_sources_without_images_are_refused(folder: Path, make, message: str) -> None:
    make(folder / "bad")
    result = run("images", "bad", "db")
    assert result.exit_code == 1
    assert message in result.stderr
    assert not os.path.exists("db")


def test_an_unreadable_folder_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    result = run("images", "pets", "db")
    assert "the folder pets: permission denied" in result.stderr


@pytest.mark.parametrize(("options", "label"), [((), 5), (("--label", "fine"), 6)])
def test_cifar_files_become_a_database(folder: Path, options: tuple[str, ...], label: int) -> None:
    pixels = np.arange(3 * 32 * 32).astype(np.uint8)
    record = bytes([5, 6] if options else [5]) + pixels.tobytes()
    for name in ("1.bin", "2.bin"):
        (folder / name).write_bytes(record * 2)
    result = run("cifar", "1.bin", "2.bin", "db", *options)
    assert result.stdout == f"db: 4 records of 3×32×32, labels {label} to {label}\n"
    np.testing.assert_array_equal(images()[3], pixels.reshape(3, 32, 32))
    run("cifar", "1.bin", "db", "--force", "--bgr", *options)
    np.testing.assert_array_equal(images()[0], pixels.reshape(3, 32, 32)[::-1])
    (folder / "1.bin").write_bytes(record[:-1])
    result = run("cifar", "1.bin", "other", *options)
    assert result.exit_code == 1
    assert "1.bin: " in result.stderr
    assert "are not records of" in result.stderr


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([9, 10], (), "1.bin: record 1 has label 10, of 10 classes"),
        ([19, 99, 20, 0], ("--label", "coarse"), "1.bin: record 1 has label 20, of 20 classes"),
        ([0, 100], ("--label", "fine"), "1.bin: record 0 has label 100, of 100 classes"),
    ],
)
def test_labels_that_cifar_does_not_have_are_told(
    folder: Path, labels: list[int], options: tuple[str, ...], message: str
) -> None:
    size = 2 if options else 1
    records = (bytes(labels[at : at + size]) + bytes(3072) for at in range(0, len(labels), size))
    (folder / "1.bin").write_bytes(b"".join(records))
    result = run("cifar", "1.bin", "db", *options)
    assert result.exit_code == 1
    assert message in result.stderr
    assert not os.path.exists("db")
