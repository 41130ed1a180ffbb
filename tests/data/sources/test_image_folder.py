"""Folders of pictures as people have them: hidden files, missing classes, odd names, wrong levels, broken files."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from tests.conftest import Answer, Tlearn
from tests.helpers.fake_pictures import CONFIG, picture, write_broken, write_folder, write_splits
from tlearn import ImageFolderDataModule, TlearnError
from tlearn.data.images.augment import Augment
from tlearn.data.images.image_set import BatchKey, ImageSet
from tlearn.data.images.on_disk import StreamedImages


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``pictures/{train,val,test}`` in the working folder, and a config for it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.yaml").write_text(CONFIG)
    return write_splits(tmp_path / "pictures")


def names_of(images: ImageSet) -> list[str]:
    assert isinstance(images, StreamedImages)
    return [images.pictures.name(row) for row in images.indices.tolist()]  # type: ignore[attr-defined]


def opened(root: Path, stage: str = "fit", **options: Any) -> ImageFolderDataModule:
    data = ImageFolderDataModule(str(root), **{"size_px": 16, **options})
    data.setup(stage)
    return data


def fit(tlearn: Tlearn, *words: str) -> Answer:
    return tlearn("fit", "--config", "folder.yaml", *words)


def test_trains_and_names_its_classes(tlearn: Tlearn, root: Path) -> None:
    answer = fit(tlearn, "--trainer.max_epochs", "6")
    assert answer.code == 0, answer.err
    assert f"train: 24 images of 3 classes (cat 8, dog 8, eel 8) in {root}" in answer.err
    assert "next: tlearn predict runs/folder/version_0 PHOTOS --out predictions.csv\n" in answer.out
    about = torch.load("runs/folder/version_0/checkpoints/last.ckpt", weights_only=True)["tlearn"]
    assert about["class_names"] == ["cat", "dog", "eel"]
    square = {"size_px": 32, "crop_mode": "center", "crop_pct": 0.875}
    numbers: dict[str, object] = {
        "intensity": "auto",
        "ranges": {},
        "channels": None,
        "num_channels": 3,
        "page": "first",
    }
    assert about["pictures"] == square | {"reading": numbers | {"max_megapixels": 179.0, "converts_colour": True}}
    record = json.loads(Path("runs/folder/version_0/split.json").read_text())
    assert record["train_files"][:2] == ["train/cat/cat000.png", "train/cat/cat001.png"]
    assert len(record["val_files"]) == 12
    tested = tlearn("test", "--ckpt_path", "runs/folder/version_0")
    assert tested.code == 0, tested.err
    assert float(tested.result["accuracy"].split()[0]) > 90


def test_hidden_files_and_litter_are_no_classes(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    train = root / "train"
    (train / ".ipynb_checkpoints").mkdir()
    picture("cat", 1).save(train / ".ipynb_checkpoints" / "cat-checkpoint.png")
    (train / "__MACOSX").mkdir()
    for place in (train, train / "dog"):
        (place / ".DS_Store").write_bytes(b"\0Bud1")
    (train / "cat" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (train / "cat" / "._cat000.png").write_bytes(b"\0\5\x16\7" + b"\0" * 80)
    (train / "cat" / "notes.txt").write_text("cats")
    with caplog.at_level("INFO", "tlearn"):
        data = opened(root)
    assert data.class_names == ["cat", "dog", "eel"]
    assert len(data.dataset("train")) == 24
    assert "ignored 6 hidden items; skipped 1 file without a picture's name: .txt 1" in caplog.text


@pytest.mark.parametrize("empty", [True, False])
def test_a_class_without_validation_images_shifts_no_label(
    root: Path, empty: bool, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(root / "val" / "dog")
    if empty:
        (root / "val" / "dog").mkdir()
    val = opened(root).dataset("val")
    labels = dict(zip(names_of(val), val.targets[val.indices].tolist(), strict=True))
    assert {name.split("/")[1]: label for name, label in labels.items()} == {"cat": 0, "eel": 2}
    assert "no validation images for: dog" in caplog.text


def test_a_class_that_is_not_trained_on_is_named(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_folder(root / "val", ("fox",), count=3)
    with pytest.raises(TlearnError, match=r"has a class that is not trained on: fox \(3 images\); the classes are cat"):
        opened(root)
    with caplog.at_level("INFO", "tlearn"):
        assert len(opened(root, unknown_classes="ignore").dataset("val")) == 12
    assert "ignored classes not trained on: fox (3 images)" in caplog.text


def test_a_choice_of_classes_keeps_its_order(root: Path) -> None:
    data = opened(root, classes=["eel", "cat"])
    assert data.class_names == ["eel", "cat"]
    train = data.dataset("train")
    assert {name.split("/")[1] for name in names_of(train)} == {"cat", "eel"}
    assert train.targets[train.indices].bincount().tolist() == [8, 8]
    with pytest.raises(TlearnError, match=r"unknown class 'cot'\. Did you mean 'cat'"):
        opened(root, classes=["cot", "dog"])


def wrong_levels(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    write_folder(tmp_path / "one" / "train", ("cat",))
    write_splits(tmp_path / "nested" / "dataset")
    (tmp_path / "empty").mkdir()
    layout = re.escape("expected ROOT/train/<class>/*.jpg")
    yield tmp_path / "one", rf"found 1 class \(cat\) in {tmp_path}/one/train; need at least 2: {layout}"
    yield tmp_path / "nested", rf"which holds dataset; {layout}.*; did you mean {tmp_path}/nested/dataset\?"
    yield (
        tmp_path / "nested/dataset/train",
        rf"which holds cat, dog, eel; {layout}.*did you mean {tmp_path}/nested/dataset\?",
    )
    yield tmp_path / "one/train/cat/cat000.png", "a file, not a folder, at "
    yield tmp_path / "empty", f"no folder train in {tmp_path}/empty, which holds no folder"
    yield tmp_path / "missing", f"no folder at {tmp_path}/missing"


def test_a_wrong_level_is_explained(tlearn: Tlearn, tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").write_text(CONFIG)
    for place, message in wrong_levels(tmp_path):
        answer = fit(tlearn, "--data.init_args.root", str(place))
        assert answer.code == 2
        last = answer.err.strip().splitlines()[-1]
        assert re.search(f"^error: .*{message}", last), last


def test_odd_names_and_links(root: Path) -> None:
    train = root / "train"
    (train / "cat" / "cat000.png").rename(train / "cat" / 'a, b "q".png')
    (train / "cat" / "cat001.png").rename(train / "cat" / "k\u0430t ö 猫.png")
    picture("cat", 2).save(train / "cat" / "UPPER.JPG")
    picture("cat", 3).save(train / "cat" / "extra.jfif", format="JPEG")
    picture("cat", 4).save(train / "cat" / "anim.gif")
    for split in ("train", "val", "test"):
        (root / split / "dog").rename(root / split / "hot dog")
    (train / "eel" / "up").symlink_to("..")  # a loop
    (train / "eel" / "deeper").mkdir()
    picture("eel", 99).save(train / "eel" / "deeper" / "x.png")
    data = opened(root)
    assert data.class_names == ["cat", "eel", "hot dog"]
    train_set = data.dataset("train")
    assert train_set.targets.bincount().tolist() == [11, 9, 8]
    assert 'train/cat/a, b "q".png' in names_of(train_set)
    assert len(set(names_of(train_set))) == 28
    assert train_set[key(0, 28)].images.shape == (28, 3, 16, 16)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_broken_files_stop_the_run_before_it_starts(tlearn: Tlearn, root: Path, workers: str) -> None:
    broken = write_broken(root / "train" / "dog")
    answer = fit(tlearn, "--data.num_workers", workers)
    assert answer.code == 2
    last = answer.err.strip().splitlines()[-1]
    assert last.startswith("error: 4 of 28 train pictures cannot be read: ")
    for name, reason in broken.items():
        assert f"{root / 'train' / 'dog' / name} ({reason})" in last
    said = "; tlearn doctor pictures --fix puts them on a list to leave out, --data.init_args.on_error skip leaves"
    assert said in last
    assert not Path("runs").exists()


def test_broken_files_are_skipped_with_a_count(tlearn: Tlearn, root: Path) -> None:
    write_broken(root / "train" / "dog")
    answer = fit(tlearn, "--data.on_error", "skip", "--trainer.max_epochs", "1")
    assert answer.code == 0, answer.err
    assert "train: 24 images of 3 classes (cat 8, dog 8, eel 8)" in answer.err
    assert "skipped 4 that cannot be read" in answer.err


class BreakCallback(Callback):
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        Path("pictures/train/cat/cat003.png").write_bytes(b"gone")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_breaks_while_training_is_named(tlearn: Tlearn, root: Path, workers: int) -> None:
    """It was good when it was looked at; then somebody writes over it."""
    answer = fit(tlearn, "--data.num_workers", str(workers), f"--trainer.callbacks+={__name__}.BreakCallback")
    assert answer.code == 2
    last = answer.err.strip().splitlines()[-1]
    assert last.startswith(f"error: {root}/train/cat/cat003.png: no picture format; mend it")


def test_split_off_validation_is_the_same_in_every_run_and_survives_new_pictures(tmp_path: Path) -> None:
    write_folder(tmp_path / "p" / "train", count=20)
    first = opened(tmp_path / "p", val_fraction=0.2)
    torch.manual_seed(7)
    second = opened(tmp_path / "p", "validate", val_fraction=0.2)
    train, val = names_of(first.dataset("train")), names_of(first.dataset("val"))
    assert names_of(second.dataset("val")) == val
    assert set(train) | set(val) == {f"train/{c}/{c}{n:03d}.png" for c in ("cat", "dog", "eel") for n in range(20)}
    assert not set(train) & set(val)
    assert [sum(c in name for name in val) for c in ("cat", "dog", "eel")] == [4, 4, 4]
    assert names_of(opened(tmp_path / "p", val_fraction=0.2, split_seed=1).dataset("val")) != val
    picture("cat", 999).save(tmp_path / "p" / "train" / "cat" / "aaa.png")  # first of all, so that all positions move
    later = names_of(opened(tmp_path / "p", val_fraction=0.2).dataset("val"))
    assert len(set(later) ^ set(val)) <= 2


def test_training_does_not_open_the_test_folder(tlearn: Tlearn, root: Path) -> None:
    (root / "test" / "cat" / "cat700.png").write_bytes(b"broken")
    assert fit(tlearn, "--trainer.max_epochs", "1").code == 0
    answer = tlearn("test", "--ckpt_path", "runs/folder/version_0")
    assert answer.code == 2
    assert "1 of 12 test pictures cannot be read" in answer.err


def test_checkpoint_names_the_classes_where_nothing_trains(tlearn: Tlearn, root: Path) -> None:
    assert fit(tlearn, "--trainer.max_epochs", "1").code == 0
    shutil.rmtree(root / "train")
    shutil.rmtree(root / "val")
    answer = tlearn("test", "--ckpt_path", "runs/folder/version_0", "--config", "folder.yaml")
    assert answer.code == 0, answer.err
    shutil.rmtree(root / "test")
    write_folder(root / "test", ("fox", "cat"), count=2)
    answer = tlearn("test", "--ckpt_path", "runs/folder/version_0")
    assert answer.code == 2
    assert "has a class that is not trained on: fox (2 images); the classes are cat, dog, eel" in answer.err


def test_pictures_in_both_training_and_validation_are_told(tlearn: Tlearn, root: Path) -> None:
    shutil.copy(root / "train/cat/cat000.png", root / "val/cat/copy.png")
    shutil.copy(root / "train/cat/cat001.png", root / "train/dog/copy.png")
    answer = fit(tlearn, "--trainer.fast_dev_run", "true")
    assert "1 picture under two labels: nobody can learn both; tlearn doctor lists" in answer.err
    assert "1 picture in train and, bit by bit the same, in val: the accuracy will flatter" in answer.err


def key(start: int, end: int, epoch: int = 0) -> BatchKey:
    return BatchKey(epoch, torch.arange(start, end))


def test_boxes_are_cut_from_whole_pictures_and_keyed_to_epoch_and_picture(root: Path) -> None:
    data = opened(root, augment=Augment(resized_crop_area=0.3, flip=True), size_px=8)
    data.trainer = None
    loader = data.train_dataloader()
    images: ImageSet = loader.dataset  # type: ignore[union-attr,assignment]
    first, again, later = images[key(0, 4)], images[key(2, 4)], images[key(0, 4, epoch=1)]
    assert torch.equal(first.images[2:], again.images)
    assert not torch.equal(first.images, later.images)
    assert first.images.shape == (4, 3, 8, 8)


def test_feature_cache_notices_a_changed_picture(tlearn: Tlearn, root: Path) -> None:
    """Same name, same size, same date: its content decides; bitmaps of one size have files of one size."""
    picture("cat", 1).save(root / "train/cat/x.bmp")
    frozen = ["--model.freeze_backbone", "true", "--trainer.max_epochs", "1"]
    assert "computed once" in fit(tlearn, *frozen).err
    assert fit(tlearn, *frozen).err.count("from the cache") == 2
    path = root / "train/cat/x.bmp"
    before = path.stat()
    picture("cat", 12345).save(path)
    os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    answer = fit(tlearn, *frozen)
    assert answer.code == 0, answer.err
    assert "features of train: 25 images x 64" in answer.err
    assert answer.err.count("computed once") == answer.err.count("from the cache") == 1  # validation has not changed


def test_feature_cache_notices_changed_validation_pictures(tlearn: Tlearn, root: Path) -> None:
    frozen = ["--model.freeze_backbone", "true", "--trainer.max_epochs", "1"]
    assert fit(tlearn, *frozen).code == 0
    picture("eel", 4321).save(root / "val/cat/cat500.png")
    answer = fit(tlearn, *frozen)
    assert answer.err.count("from the cache") == 1
    assert answer.err.count("computed once") == 1


def test_a_resume_wants_the_same_pictures(tlearn: Tlearn, root: Path) -> None:
    assert fit(tlearn, "--trainer.max_epochs", "1").code == 0
    picture("cat", 77).save(root / "train/cat/new.png")
    answer = tlearn("fit", "--ckpt_path", "runs/folder/version_0", "--trainer.max_epochs", "2")
    assert answer.code == 2
    assert "the images are not those of the checkpoint: some were added, removed or changed" in answer.err
    (root / "train/cat/new.png").unlink()
    root.rename(root.with_name("moved"))
    words = ["--trainer.max_epochs", "2", "--data.root", "moved"]
    answer = tlearn("fit", "--ckpt_path", "runs/folder/version_0", *words)
    assert answer.code == 0, answer.err


@pytest.mark.pictures
def test_tensorboard_shows_what_the_network_sees(tlearn: Tlearn, root: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert fit(tlearn, "--trainer.max_epochs", "1", "--data.crop_mode", "letterbox").code == 0
    events = EventAccumulator("runs/folder/version_0")
    events.Reload()
    assert {"data/train", "data/val"} <= set(events.Tags()["images"])
    (image,) = events.Images("data/train")
    assert (image.width, image.height, image.step) == (700, 1183, 0)  # three by four, with labels


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "data.init_args.root is missing; give --data.init_args.root or name it in a config"),
        (
            ["--data.root", "x", "--data.crop_mode", "box"],
            "data.crop_mode on the command line: expected center, letterbox or null, got box",
        ),
    ],
)
def test_a_missing_or_wrong_option_is_named(tlearn: Tlearn, words: list[str], message: str) -> None:
    answer = tlearn("fit", "--data", "ImageFolderDataModule", *words)
    assert answer.code == 2
    assert message in answer.err
    assert answer.err.count("\n") == 1


def test_names_need_not_be_text(tlearn: Tlearn, root: Path) -> None:
    name = os.fsdecode(b"bad\xff.png")
    picture("cat", 55).save(root / "train" / "cat" / name)
    (root / "train" / "dog" / os.fsdecode(b"broken\xfe.png")).touch()
    answer = fit(tlearn, "--trainer.fast_dev_run", "true", "--data.on_error", "skip")
    assert answer.code == 0, answer.err
    answer = tlearn("doctor", "--config", "folder.yaml", "--fix")
    assert answer.code == 0, answer.err
    answer = fit(tlearn, "--trainer.max_epochs", "1")
    assert answer.code == 0, answer.err
    assert "train: 25 images" in answer.err
    for out in ("p.csv", "p.parquet"):
        words = ["--ckpt_path", "runs/folder/version_0", "--data", str(root / "train" / "cat"), "--out", out]
        assert tlearn("predict", *words).code == 0
    assert "bad\\udcff.png,cat" in Path("p.csv").read_text()


def test_what_is_no_file_is_named(root: Path) -> None:
    os.mkfifo(root / "train" / "cat" / "pipe.jpg")  # reading it would never end
    (root / "train" / "cat" / "loop.jpg").symlink_to("loop.jpg")
    with pytest.raises(TlearnError, match=r"loop.jpg \(Too many levels .*pipe.jpg \(no regular file\)"):
        opened(root)


def test_classes_named_like_numbers_stay_names(tlearn: Tlearn, root: Path) -> None:
    for split in ("train", "val", "test"):
        for old, new in (("cat", "1e5"), ("dog", "no"), ("eel", "null")):
            (root / split / old).rename(root / split / new)
    assert fit(tlearn, "--trainer.max_epochs", "1").code == 0
    for verb in ("validate", "test"):
        answer = tlearn(verb, "--ckpt_path", "runs/folder/version_0")
        assert answer.code == 0, answer.err
    words = ["--data", "pictures/test", "--out", "p.csv", "--ckpt_path", "runs/folder/version_0"]
    assert tlearn("predict", *words).code == 0
    assert "1e5" in Path("p.csv").read_text()


def test_an_empty_validation_folder_is_named(root: Path) -> None:
    shutil.rmtree(root / "val")
    (root / "val" / "cat").mkdir(parents=True)
    with pytest.raises(TlearnError, match=r"no picture in a class folder of .*/val; add some, or remove the folder"):
        opened(root)


def test_validation_needs_no_training_pictures(tlearn: Tlearn, root: Path) -> None:
    assert fit(tlearn, "--trainer.max_epochs", "1").code == 0
    (root / "train/cat/cat000.png").write_bytes(b"broken")
    answer = tlearn("validate", "--ckpt_path", "runs/folder/version_0")
    assert answer.code == 0, answer.err
    shutil.rmtree(root / "train")
    answer = tlearn("validate", "--ckpt_path", "runs/folder/version_0")
    assert answer.code == 0, answer.err
    assert "val: 12 images" in answer.err
