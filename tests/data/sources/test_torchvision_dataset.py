"""torchvision's datasets, read from the files they come in, which the tests write."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torchvision import datasets

from tests.conftest import Tlearn
from tests.helpers.fake_torchvision import (
    STEP,
    write_clevr,
    write_dtd,
    write_eurosat,
    write_imagenet,
    write_inaturalist,
    write_mnist,
    write_pets,
    write_qmnist,
    write_svhn,
)
from tlearn import TlearnError, TorchvisionDataModule
from tlearn.base.types import Batch
from tlearn.data.images.on_disk import StreamedImages
from tlearn.data.sources.torchvision import TorchvisionSource
from tlearn.data.sources.torchvision_classes import WORKING


def opened(name: str, root: Path, stage: str = "fit", **options: Any) -> TorchvisionDataModule:
    data = TorchvisionDataModule(name, str(root), download=False, **{"size_px": 16, "batch_size": 4, **options})
    data.setup(stage)
    return data


def batches_of(data: TorchvisionDataModule) -> list[Batch]:
    return [*data.train_dataloader(), *data.val_dataloader()]


def pictures_of(data: TorchvisionDataModule, split: Any) -> object:
    images = data.dataset(split)
    assert isinstance(images, StreamedImages)
    return images.pictures


@pytest.mark.parametrize(
    ("name", "write", "classes", "counts", "has_val"),
    [
        ("FashionMNIST", write_mnist, list(datasets.FashionMNIST.classes), (30, 10, 20), False),
        ("OxfordIIITPet", write_pets, ["Abyssinian", "Great Pug"], (10, 2, 6), False),
        ("DTD", write_dtd, ["banded", "dotted"], (6, 6, 6), True),
        ("SVHN", write_svhn, [str(digit) for digit in range(10)], (20, 10, 30), False),
        ("QMNIST", write_qmnist, list(datasets.MNIST.classes), (20, 10, 30), False),
    ],
)
def test_each_dataset_is_read_in_its_own_files(
    name: str,
    write: Callable[..., None],
    classes: list[str],
    counts: tuple[int, int, int],
    has_val: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(tmp_path, *([monkeypatch] if name == "SVHN" else []))
    data = opened(name, tmp_path)
    assert (data.task, data.class_names) == ("classification", classes)
    data.setup("test")
    assert (len(data.dataset("train")), len(data.dataset("val")), len(data.dataset("test"))) == counts
    assert (pictures_of(data, "val") is not pictures_of(data, "train")) == has_val
    for batch in [*batches_of(data), *data.test_dataloader()]:
        assert batch.images.shape[1:] == (3, 16, 16)  # grey ones too
        shades = batch.images.float().mean(dim=(1, 2, 3)) / STEP
        torch.testing.assert_close(shades.round().long(), batch.targets)


@pytest.mark.pictures
def test_trains_and_tests_from_the_command_line(tlearn: Tlearn, tmp_path: Path) -> None:
    write_mnist(tmp_path / "data")
    words = ["--data", "TorchvisionDataModule", "--data.dataset", "FashionMNIST", "--data.num_workers", "2"]
    words += ["--data.classes", "[Bag, Trouser]", "--data.batch_size", "4", "--model.optimizer.lr", "0.01"]
    words += ["--model.weights", "null", "--model.tap", "layer1", "--model.image_size", "32"]
    answer = tlearn("fit", *words, "--trainer.max_epochs", "1", "--trainer.accelerator", "cpu")
    assert answer.code == 0, answer.err
    assert "train: 8 images of 2 classes (Bag 4, Trouser 4) in torchvision's FashionMNIST, train True" in answer.err
    assert "left out 32 of classes not chosen" in answer.err
    tested = tlearn("test", "--ckpt_path", "runs/default/version_0")
    assert tested.code == 0, tested.err
    assert tested.result["accuracy"].endswith(" of 4")
    assert "test: 4 images of 2 classes" in tested.err


def test_workers_decode_the_same(tmp_path: Path) -> None:
    write_pets(tmp_path)
    one, two = (batches_of(opened("OxfordIIITPet", tmp_path, num_workers=workers)) for workers in (0, 2))
    assert [batch.indices.tolist() for batch in one] == [batch.indices.tolist() for batch in two]
    assert all(torch.equal(a.images, b.images) for a, b in zip(one, two, strict=True))


def test_validation_is_split_off_by_class_and_seed(tmp_path: Path) -> None:
    write_mnist(tmp_path, per_class=10)
    rows = [opened("FashionMNIST", tmp_path, split_seed=seed).dataset("val").indices.tolist() for seed in (0, 0, 1)]
    assert rows[0] == rows[1] != rows[2]
    assert [row // 10 for row in rows[0]] == list(range(10))


def test_only_test_opens_the_test_images(tmp_path: Path) -> None:
    write_pets(tmp_path)
    (tmp_path / "oxford-iiit-pet/annotations/test.txt").unlink()
    data = opened("OxfordIIITPet", tmp_path)
    with pytest.raises(TlearnError, match=r"OxfordIIITPet \(test\) is not in .*test.txt.*put its files there"):
        data.setup("test")


def test_without_splits_all_images_train(tmp_path: Path) -> None:
    write_eurosat(tmp_path)
    data = opened("EuroSAT", tmp_path)
    assert (data.class_names, len(data.dataset("train")), len(data.dataset("val"))) == (["Forest", "River"], 10, 2)
    with pytest.raises(TlearnError, match="EuroSAT has no test images: all train"):
        data.setup("test")


def test_test_images_without_labels_are_told(tmp_path: Path) -> None:
    write_clevr(tmp_path)
    data = opened("CLEVRClassification", tmp_path)
    assert data.class_names == ["3", "10"]  # by number, not by text
    with pytest.raises(TlearnError, match="its 6 test images have no label; use validate instead"):
        data.setup("test")


def test_labels_kept_nowhere_are_read_from_the_items(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    write_qmnist(tmp_path)
    opened("QMNIST", tmp_path)
    assert "reading all 30 items of torchvision's QMNIST once" in said.text
    write_inaturalist(tmp_path)  # whose items are files, opened and not yet read
    names = opened("INaturalist", tmp_path).class_names
    assert [name.rpartition("_")[2] for name in names] == ["terrestris", "rubellus"]
    said.clear()
    write_mnist(tmp_path)
    opened("FashionMNIST", tmp_path)
    assert "reading all" not in said.text


def test_classes_of_one_name_are_told_apart(tmp_path: Path) -> None:
    write_imagenet(tmp_path)
    data = opened("ImageNet", tmp_path)
    assert data.class_names == ["crane, bird", "crane (1)", "crane (2)"]
    assert len(data.dataset("val")) == 9


def test_chosen_classes_are_numbered_as_given(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    data = opened("FashionMNIST", tmp_path, classes=["Bag", "Trouser"])
    assert data.class_names == ["Bag", "Trouser"]
    for batch in batches_of(data):
        assert (batch.images[:, 0, 0, 0] // STEP).tolist() == [[8, 1][target] for target in batch.targets]


def test_options_choose_a_version(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    write_mnist(tmp_path, "EMNIST", first=1, prefix="emnist-letters")
    data = opened("EMNIST", tmp_path, dataset_options={"split": "letters"})
    assert data.class_names == list("abcdefghi")
    assert "classes without training images, left out: N/A, j, k" in said.text
    write_dtd(tmp_path)
    marks = [opened("DTD", tmp_path, dataset_options={"partition": number}).data_fingerprint for number in (1, 1, 2)]
    assert marks[0] == marks[1] != marks[2]


def test_the_fingerprint_tells_datasets_apart(tmp_path: Path) -> None:
    places = [(tmp_path / "a", "FashionMNIST"), (tmp_path / "b", "FashionMNIST"), (tmp_path / "b", "KMNIST")]
    for root, name in places:
        write_mnist(root, name)
    marks = [opened(name, root).data_fingerprint for root, name in places]
    assert len(set(marks)) == 3
    assert opened("KMNIST", tmp_path / "b").data_fingerprint == marks[2]


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    write_pets(tmp_path)
    path = tmp_path / "oxford-iiit-pet/images/great_pug_5.jpg"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(TlearnError, match=r"item 11 of torchvision's OxfordIIITPet, split trainval, 12 items in .*"):
        batches_of(opened("OxfordIIITPet", tmp_path))


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        (
            "FashonMNIST",
            None,
            "unknown dataset of torchvision 'FashonMNIST'. Did you mean 'FashionMNIST'? Choices: C",
        ),
        ("Kinetics", None, "torchvision's Kinetics is not among its datasets with one class an image"),
        ("CelebA", None, "torchvision's CelebA is not among its datasets with one class an image"),
        ("VOCDetection", None, "torchvision's VOCDetection is not among its datasets with one class an image"),
        ("ImageFolder", None, "use ImageFolderDataModule"),
        ("EMNIST", None, "set data.init_args.dataset_options.split to one of byclass, bymerge, balanced, letters"),
        ("EMNIST", {"split": "leters"}, "Unknown value 'leters' for argument split. Valid values are"),
        ("DTD", {"partitoin": 2}, "unknown option of torchvision's DTD 'partitoin'. Did you mean 'partition'?"),
        ("DTD", {"split": "test"}, "unknown option of torchvision's DTD 'split'. Choices: partition"),
        ("MNIST", {"what": "nist"}, "unknown option of torchvision's MNIST 'what'. Choices: none"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    name: str, options: dict[str, Any] | None, expected: str, tmp_path: Path
) -> None:
    with pytest.raises(TlearnError) as fault:
        TorchvisionDataModule(name, str(tmp_path), dataset_options=options)
    assert expected in str(fault.value)
    assert "\n" not in str(fault.value)
    assert "fetched" not in str(fault.value)


@pytest.mark.parametrize("name", WORKING)
def test_every_dataset_listed_takes_what_it_is_given(name: str, tmp_path: Path) -> None:
    options = {"split": "letters"} if name == "EMNIST" else None
    fault = rf"torchvision's {name}( \(train\) is not in {tmp_path}|: h5py is not found)"
    with pytest.raises(TlearnError, match=fault):
        TorchvisionDataModule(name, str(tmp_path), download=False, dataset_options=options)


@pytest.mark.parametrize("name", sorted(set(WORKING) - {"PCAM"}))
def test_every_split_listed_is_one_that_torchvision_knows(name: str, tmp_path: Path) -> None:
    options = {"split": "letters"} if name == "EMNIST" else {}
    source = TorchvisionSource(name, tmp_path, False, options)
    for split in source.splits:
        with pytest.raises(TlearnError, match=rf"{name} \({split}\) is not in"):
            source.open(split)


def test_a_failing_download_says_what_and_where_to(
    tlearn: Tlearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network here")

    monkeypatch.setattr("torchvision.datasets.utils.urllib.request.urlopen", refuse)
    words = ["--data", "TorchvisionDataModule", "--data.root", "pictures", "--data.dataset"]
    answer = tlearn("fit", *words, "Flowers102")
    assert answer.code == 2
    assert answer.err.splitlines()[-1].startswith(
        f"error: torchvision's Flowers102 (train) is not in {tmp_path}/pictures and cannot be fetched ("
    )
    assert f"102flowers.tgz -> {tmp_path}/pictures/flowers-102/102flowers.tgz: " in answer.err
    assert "no network here" in answer.err
    answer = tlearn("fit", *words, "MNIST")  # what torchvision says takes many lines here
    assert re.search(r"^error: .* not in .*Error downloading train-images.* put its files there$", answer.err, re.M)
    answer = tlearn("fit", *words, "Flowers102", "--data.download", "false")
    assert "is not in" in answer.err
    assert "set data.init_args.download true or put its files there" in answer.err


def test_what_is_missing_is_fetched_and_what_is_there_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []

    def fetch(*_: object, **__: object) -> None:
        fetched.append(1)
        write_mnist(tmp_path)

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", fetch)
    for _ in range(2):
        assert TorchvisionDataModule("FashionMNIST", str(tmp_path)).num_classes == 10
    assert len(fetched) == 4  # torchvision's four files, once
