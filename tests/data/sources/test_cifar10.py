from __future__ import annotations

import pickle
import tarfile
import time
import urllib.request
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import calculate_md5

from tests.helpers.fake_cifar import patch_checksums
from tlearn.base.errors import TlearnError
from tlearn.data.sources.cifar10 import CIFAR10_CLASSES, CIFAR10DataModule

FILES = [name for name, _ in CIFAR10.train_list + CIFAR10.test_list] + [CIFAR10.meta["filename"]]
FOLDER = CIFAR10.base_folder


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise URLError("no network in tests")

    monkeypatch.setattr(urllib.request, "urlopen", no_network)


@pytest.fixture
def archive(cifar_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A right cifar-10-python.tar.gz of the fake files, in a folder of its own."""
    path = cifar_root.parent / "archive" / str(CIFAR10.filename)
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as tar:
        tar.add(cifar_root / FOLDER, FOLDER)
    monkeypatch.setattr(CIFAR10, "tgz_md5", calculate_md5(path))
    return path


def missing(root: Path) -> None:
    """Leave the root away altogether."""


def junk(root: Path) -> None:
    (root / FOLDER).mkdir(parents=True)
    for name in FILES:
        (root / FOLDER / name).write_bytes(b"\x80\x02junk")


def damaged_archive(root: Path) -> None:
    root.mkdir(parents=True)
    (root / CIFAR10.filename).write_bytes(b"\x1f\x8b" + b"x" * 5000)


def everything_below(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


class Response(BytesIO):
    """What urlopen returns, as far as torchvision reads it."""

    def __init__(self, path: Path, url: str) -> None:
        super().__init__(path.read_bytes())
        self.url, self.length = url, path.stat().st_size


def serve(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda request: Response(path, request.full_url))


def refusal(root: Path, download: bool) -> str:
    with pytest.raises(TlearnError) as caught:
        CIFAR10DataModule(str(root), download).prepare_data()
    return str(caught.value)


BROKEN = [
    (missing, "cifar-10-batches-py/data_batch_1 is missing"),
    (junk, "cifar-10-batches-py/data_batch_1 is damaged (md5 cc5b5e0c17dabefcfb114ea49db91bd4, expected {batch_md5})"),
    (damaged_archive, "; cifar-10-python.tar.gz is damaged (md5 9aa017fa020964af6a58a32932a7ce64, expected {tgz_md5})"),
]


@pytest.mark.fault(
    "CIFAR-10 missing, cut short or damaged", "one line that names file and remedy; the folder as it was"
)
@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("download", [False, True])
@pytest.mark.parametrize(("spoil", "fault"), BROKEN)
def test_a_broken_root_is_named_in_one_line_and_left_as_it_was(
    tmp_path: Path, spoil: Callable[[Path], None], fault: str, download: bool
) -> None:
    root = tmp_path / "some" / "root"
    spoil(root)
    before, start_s = everything_below(tmp_path), time.monotonic()
    message = refusal(root, download)
    assert time.monotonic() - start_s < 5
    assert everything_below(tmp_path) == before
    assert "\n" not in message
    assert message.startswith(f"CIFAR-10 in {root}: ")
    assert fault.format(batch_md5=CIFAR10.train_list[0][1], tgz_md5=CIFAR10.tgz_md5) in message
    assert CIFAR10.url in message
    assert f"put cifar-10-python.tar.gz (md5 {CIFAR10.tgz_md5}" in message
    assert ("download failed (<urlopen error no network in tests>)" in message) == download
    assert ("download is off: set data.init_args.download true or" in message) == (not download)


@pytest.mark.parametrize("spoil", [missing, junk])
@pytest.mark.usefixtures("offline")
def test_a_right_archive_in_the_root_is_unpacked(archive: Path, spoil: Callable[[Path], None]) -> None:
    root = archive.parent
    spoil(root)
    data = CIFAR10DataModule(str(root), download=False)
    data.prepare_data()
    data.setup("fit")
    assert sorted(path.name for path in root.iterdir()) == sorted([FOLDER, CIFAR10.filename])
    assert len(data.dataset("train")) + len(data.dataset("val")) == 100


@pytest.mark.parametrize("spoil", [missing, junk, damaged_archive])
def test_download_repairs_every_broken_root(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], None]
) -> None:
    serve(archive, monkeypatch)
    root = tmp_path / "some" / "root"
    spoil(root)
    data = CIFAR10DataModule(str(root), download=True)
    data.prepare_data()
    data.setup("test")
    assert len(data.dataset("test")) == 20
    assert not list(tmp_path.rglob(".cifar-10-*"))


@pytest.mark.fault("A download breaks off", "one line; nothing of it is kept")
def test_a_download_that_breaks_off_is_not_kept(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(archive, monkeypatch)
    archive.write_bytes(archive.read_bytes()[:1000])
    root = tmp_path / "root"
    assert "download failed (File not found or corrupted.)" in refusal(root, download=True)
    assert not root.exists()
    assert not list(tmp_path.glob(".cifar-10-*"))


def test_an_archive_that_does_not_unpack_is_one_line(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(__file__, "other/file")
    monkeypatch.setattr(CIFAR10, "tgz_md5", calculate_md5(archive))
    assert "data_batch_1 is missing; unpacking failed ([Errno 2] No such file" in refusal(archive.parent, False)
    assert list(archive.parent.iterdir()) == [archive]


def test_a_folder_keeps_what_else_lies_in_it(archive: Path) -> None:
    junk(archive.parent)
    note = archive.parent / FOLDER / "note.txt"
    note.write_text("mine")
    CIFAR10DataModule(str(archive.parent), download=False).prepare_data()
    assert note.read_text() == "mine"


def test_setup_without_prepare_data_still_checks(cifar_root: Path) -> None:
    (cifar_root / FOLDER / "data_batch_3").unlink()
    with pytest.raises(
        TlearnError, match=r"^CIFAR-10 in .*: cifar-10-batches-py/data_batch_3 is missing; call prepare_data\(\) or put"
    ):
        CIFAR10DataModule(str(cifar_root)).setup("fit")


def test_images_are_those_of_the_files(cifar_root: Path) -> None:
    data = CIFAR10DataModule(str(cifar_root), download=False)
    data.prepare_data()
    images, targets = data.load_split("train")
    first = pickle.loads((cifar_root / FOLDER / "data_batch_1").read_bytes())
    assert images.shape == (100, 3, 32, 32)
    assert images.is_contiguous()
    assert torch.equal(images[:20].flatten(1), torch.from_numpy(first["data"].copy()))
    assert targets[:20].tolist() == first["labels"]
    assert torch.bincount(targets).tolist() == [10] * 10
    assert data.class_names == list(CIFAR10_CLASSES)


def test_fit_opens_no_test_images(cifar_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    data = CIFAR10DataModule(str(cifar_root), download=False)
    data.prepare_data()
    load = pickle.load

    def spy(file: Any, **options: Any) -> Any:
        opened.append(Path(file.name).name)
        return load(file, **options)

    monkeypatch.setattr(pickle, "load", spy)
    data.setup("fit")
    assert opened == [*FILES[:5], "batches.meta"]
    data.setup("test")
    assert opened[6:] == ["test_batch", "batches.meta"]


def test_a_selection_is_renumbered_and_keeps_places_in_the_source(cifar_root: Path) -> None:
    whole = CIFAR10DataModule(str(cifar_root)).load_split("train")[1]
    data = CIFAR10DataModule(str(cifar_root), classes=["dog", "cat"])
    assert (data.class_names, data.num_classes) == (["dog", "cat"], 2)
    data.setup("fit")
    record = data.split_record()
    rows = torch.tensor(record["train"])
    assert sorted(record["train"] + record["val"]) == torch.nonzero((whole == 3) | (whole == 5)).flatten().tolist()
    assert torch.equal(data.dataset("train").targets[rows], (whole[rows] == 3).long())


def test_an_unknown_class_is_refused_with_the_nearest() -> None:
    with pytest.raises(TlearnError, match=r"^unknown class 'dogs'. Did you mean 'dog'\? Choices: airplane, "):
        CIFAR10DataModule(classes=["cat", "dogs"])


def test_other_class_names_in_the_files_are_refused(cifar_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meta = cifar_root / FOLDER / "batches.meta"
    meta.write_bytes(pickle.dumps({"label_names": ["apple", *CIFAR10_CLASSES[1:]]}, protocol=2))
    patch_checksums(monkeypatch, cifar_root)
    with pytest.raises(TlearnError, match=r"batches.meta names the classes \['apple', .*replace it by the original"):
        CIFAR10DataModule(str(cifar_root)).setup("fit")


def test_a_root_is_absolute_in_messages_and_home_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal(Path("data"), download=False).startswith(f"CIFAR-10 in {tmp_path / 'data'}: ")
    assert CIFAR10DataModule("~/pictures").root == Path.home() / "pictures"
