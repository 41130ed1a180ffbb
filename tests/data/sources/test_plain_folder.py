"""A plain folder of class folders, ``root/<class>/...``, a share that is held back to test on, and wrong layouts."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import Answer, Tlearn
from tests.helpers.fake_pictures import CONFIG, picture, write_folder, write_splits, write_table
from tlearn.base.errors import TlearnError
from tlearn.data.images.held_back import held_back
from tlearn.data.images.on_disk import FilePictures, StreamedImages
from tlearn.data.sources.folder import ImageFolderDataModule
from tlearn.data.sources.table import ImageTableDataModule


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``pictures/{cat,dog,eel}`` in the working folder, and a config for it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.yaml").write_text(CONFIG)
    return write_folder(tmp_path / "pictures", count=20)


def names_of(data: ImageFolderDataModule | ImageTableDataModule, split: Any) -> set[str]:
    images = data.dataset(split)
    assert isinstance(images, StreamedImages)
    assert isinstance(images.pictures, FilePictures)
    return {images.pictures.name(row) for row in images.indices.tolist()}


def opened(root: Path, stage: str = "fit", **options: Any) -> ImageFolderDataModule:
    data = ImageFolderDataModule(str(root), **{"size_px": 16, **options})
    data.setup(stage)
    return data


def findings() -> list[str]:
    return [each["what"] for each in json.loads(Path("doctor.json").read_text())["findings"]]


def fit(tlearn: Tlearn, *words: str) -> Answer:
    return tlearn("fit", "--config", "folder.yaml", "--trainer.max_epochs", "1", *words)


def test_class_folders_without_train_are_trained_on(tlearn: Tlearn, root: Path) -> None:
    answer = fit(tlearn)
    assert answer.code == 0, answer.err
    assert f"{root} has no folder train: its 3 folders are the classes" in answer.err.splitlines()
    assert f"train: 60 images of 3 classes (cat 20, dog 20, eel 20) in {root}" in answer.err
    assert "val: 6 of these 60 images, 10 % of each class, are held back to validate in every run" in answer.err
    record = json.loads(Path("runs/folder/version_0/split.json").read_text())
    assert record["train_files"][0].startswith("cat/cat0")
    assert (len(record["train_files"]), len(record["val_files"])) == (54, 6)
    for verb in ("validate", "predict"):
        answer = tlearn(verb, "--ckpt_path", "runs/folder/version_0")
        assert answer.code == 0, answer.err
    answer = tlearn("test", "--ckpt_path", "runs/folder/version_0")
    assert answer.code == 2
    assert "no test images" in answer.err
    assert "fit with --data.test_fraction 0.2 to hold some back" in answer.err


def test_the_doctor_and_its_list_know_a_plain_folder(tlearn: Tlearn, root: Path) -> None:
    (root / "cat" / "bad.png").write_text("x")
    shutil.copy(root / "cat" / "cat000.png", root / "cat" / "copy.png")
    words = ["--config", "folder.yaml", "--data.init_args.root", str(root)]
    answer = tlearn("doctor", *words, "--fix")
    assert answer.code == 0, answer.err
    assert "train: 62 pictures of 3 classes" in answer.out
    assert f"{root} has no folder train: its 3 folders are the classes" in findings()
    left_out = json.loads(Path("doctor.json").read_text())["excluded"]
    assert set(left_out) == {"cat/bad.png", "cat/copy.png"}
    answer = fit(tlearn)
    assert answer.code == 0, answer.err
    assert "train: 60 images of 3 classes" in answer.err
    assert "left out 2 of tlearn-exclude.json" in answer.err
    assert ".json" not in answer.err.replace("tlearn-exclude.json", "")


def test_a_share_is_held_back_to_test_on(tlearn: Tlearn, root: Path) -> None:
    answer = fit(tlearn, "--data.init_args.test_fraction", "0.2")
    assert answer.code == 0, answer.err
    record = json.loads(Path("runs/folder/version_0/split.json").read_text())
    train, val, test = (set(record[f"{split}_files"]) for split in ("train", "val", "test"))
    assert len(train) + len(val) + len(test) == len(train | val | test) == 60
    assert f"{len(test)} of 60 files are held back for test (data.init_args.test_fraction 0.2)" in answer.err
    assert 6 <= len(test) <= 18  # 12 on average
    answer = tlearn("test", "--ckpt_path", "runs/folder/version_0")
    assert answer.code == 0, answer.err
    assert f"test: {len(test)} images of 3 classes" in answer.err
    for verb, share in (("test", "0.5"), ("validate", "0.1"), ("validate", "0")):
        answer = tlearn(verb, "--ckpt_path", "runs/folder/version_0", "--data.init_args.test_fraction", share)
        assert answer.code == 2
        assert "the checkpoint was trained with 0.2, so it has seen some of these pictures" in answer.err
    answer = tlearn("doctor", "--config", "folder.yaml", "--data.init_args.test_fraction", "0.2")
    assert f"test: {len(test)} pictures" in answer.out
    assert f"train: {60 - len(test)} pictures" in answer.out


def test_pictures_that_come_later_move_none_into_or_out_of_the_test(root: Path) -> None:
    before = opened(root, "test", test_fraction=0.3)
    was = names_of(before, "test")
    write_folder(root, count=20, start=100)
    write_folder(root, ("fox",), count=20)
    for options in ({}, {"split_seed": 7}, {"val_fraction": 0.5}, {"classes": ["eel", "cat", "dog"]}):
        now = names_of(opened(root, "test", test_fraction=0.3, **options), "test")
        assert {name for name in now if int(name[-7:-4]) < 100 and "fox" not in name} == was
    after = opened(root, test_fraction=0.3)
    assert not (names_of(after, "train") | names_of(after, "val")) & was
    assert was <= names_of(opened(root, "test", test_fraction=0.4), "test")


def test_the_share_is_the_fraction_on_average() -> None:
    names = [f"cat/{number}.jpg" for number in range(20_000)]
    for fraction in (0.1, 0.2, 0.5):
        assert float(held_back(names, fraction).float().mean()) == pytest.approx(fraction, abs=0.01)
    assert not held_back(names, 0.0).any()
    val = torch.tensor([number % 10 == 0 for number in range(20_000)])
    assert float(held_back(names, 0.2)[val].float().mean()) == pytest.approx(0.2, abs=0.03)


def test_a_share_beside_train_and_in_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = write_folder(tmp_path / "pictures" / "train", count=20).parent
    tested, trained = opened(root, "test", test_fraction=0.2), opened(root, test_fraction=0.2)
    assert len(tested.dataset("test")) + len(trained.dataset("train")) + len(trained.dataset("val")) == 60
    table = write_table(tmp_path, count=60)
    data = ImageTableDataModule(str(table), test_fraction=0.2, size_px=16)
    data.setup("fit")
    data.setup("test")
    every = [names_of(data, split) for split in ("train", "val", "test")]
    assert sum(map(len, every)) == len(set.union(*every)) == 60
    assert len(every[2]) > 3


def test_learned_ranges_never_see_the_test_share(root: Path) -> None:
    shutil.rmtree(root / "eel")
    held = held_back([f"cat/{number:02d}.png" for number in range(30)], 0.3).tolist()
    for name in ("cat", "dog"):
        shutil.rmtree(root / name)
        (root / name).mkdir()
        for number in range(30):
            top = 60_000 if name == "cat" and held[number] else 3_000
            draws = np.random.default_rng(number).integers(0, top, (32, 32))
            Image.fromarray(draws.astype(np.uint16)).save(root / name / f"{number:02d}.png")
    data = opened(root, test_fraction=0.3)
    assert data.framing.reading.ranges == {"uint16": (0, 4095)}
    data = opened(root, "test", test_fraction=0.3)
    assert data.framing.reading.ranges == {"uint16": (0, 4095)}


def test_a_share_and_a_real_test_split_are_one_too_many(tlearn: Tlearn, tmp_path: Path, root: Path) -> None:
    shutil.rmtree(root)
    write_splits(root)
    answer = fit(tlearn, "--data.init_args.test_fraction", "0.2")
    assert answer.code == 2
    assert f"data.init_args.test_fraction 0.2: {root} has pictures to test on already; drop the option" in answer.err
    assert not Path("runs").exists()
    for share in ("1", "-0.1", "much"):
        answer = fit(tlearn, f"--data.init_args.test_fraction={share}")
        assert answer.code == 2
        assert "test_fraction" in answer.err


def test_shards_keep_the_same_share(tlearn: Tlearn, root: Path) -> None:
    pytest.importorskip("litdata")
    answer = tlearn("optimize", "pictures", "packed", "--data.init_args.test_fraction", "0.2")
    assert answer.code == 0, answer.err
    splits = json.loads(Path("packed/tlearn.json").read_text())["splits"]
    counts = {name: sum(shard["images"] for shard in each["shards"]) for name, each in splits.items()}
    assert counts == {
        "train": len(opened(root, "fit", test_fraction=0.2, val_fraction=0).dataset("train")),
        "test": len(opened(root, "test", test_fraction=0.2).dataset("test")),
    }
    answer = tlearn("optimize", "pictures", "all")
    assert answer.code == 0, answer.err
    assert "60 images" in answer.out


def deep(root: Path) -> None:
    for year in ("2023", "2024"):
        write_folder(root / year, count=2)


def three_alone(root: Path) -> None:
    write_folder(root / "animals", count=2)


def splits_of_other_names(root: Path) -> None:
    for name in ("Training", "test_set"):
        write_folder(root / name, count=2)


def val_alone(root: Path) -> None:
    write_folder(root / "val", count=2)


def val_beside_classes(root: Path) -> None:
    write_folder(root, ("cat", "dog"), count=2)
    write_folder(root / "val", ("cat", "dog"), count=2)


def trains_and_cars(root: Path) -> None:
    write_folder(root, ("cat", "dog"), count=2)
    (root / "cat").rename(root / "train")


def one_class(root: Path) -> None:
    write_folder(root, ("cat",), count=2)


def no_folder(root: Path) -> None:
    root.mkdir()
    picture("cat", 1).save(root / "a.png")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            deep,
            r"which folders in ROOT are the classes\? 2023, 2024 hold folders of the same names \(cat, dog, eel\), and "
            r"no pictures beside them; if 2023, 2024 are the classes, move them into ROOT/train, or say that "
            r"theirs are groups \(data\.init_args\.group 1\); if cat, dog, eel are, put each class into one folder",
        ),
        (three_alone, r"found 1 class \(animals\) in ROOT, which holds cat, dog, eel; .*did you mean ROOT/animals\?"),
        (
            splits_of_other_names,
            "no folder train in ROOT, but Training, test_set, as splits are called; call what trains train: ",
        ),
        (val_alone, "no folder train in ROOT, but val, as splits are called; call what trains train: "),
        (
            val_beside_classes,
            "no folder train in ROOT, but val, as splits are called; move cat, dog into ROOT/train: ",
        ),
        (
            trains_and_cars,
            "ROOT/train holds pictures and no class folders, beside dog: if train is a class, move all classes into a "
            "folder train; if all that trains lies in it, give each class a folder there",
        ),
        (one_class, r"found 1 class \(cat\) in ROOT; need at least 2: expected ROOT/train"),
        (no_folder, "no folder train in ROOT, which holds 1 picture and no folder; "),
    ],
)
def test_what_makes_a_layout_wrong_is_said_in_one_line(
    make: Callable[[Path], None], said: str, tlearn: Tlearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.yaml").write_text(CONFIG)
    make(tmp_path / "pictures")
    answer = fit(tlearn)
    assert answer.code == 2
    last = answer.err.strip().splitlines()[-1].replace(str(tmp_path / "pictures"), "ROOT")
    assert re.search(f"^error: {said}", last), last
    assert not Path("runs").exists()


def test_what_lies_beside_the_classes_is_said(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    picture("cat", 1).save(root / "loose.png")
    (root / "labels.csv").write_text("path,label")
    (root / "notes").mkdir()
    (root / "notes" / "a.txt").write_text("x")
    with caplog.at_level("INFO", "tlearn"):
        data = opened(root)
    assert data.class_names == ["cat", "dog", "eel"]
    assert "folders without pictures are no classes: notes" in caplog.messages
    assert "ignored 1 pictures outside any class folder" in caplog.text
    assert "without a picture's name" not in caplog.text
    for name in ("cat", "dog", "eel"):  # each picture a folder deeper
        (root / name).rename(root / "all")
        (root / name / "left").mkdir(parents=True)
        (root / "all").rename(root / name / "left" / "a")
    caplog.clear()
    assert opened(root).class_names == ["cat", "dog", "eel"]
    write_folder(root / "dog", ("dog",), count=2)
    caplog.clear()
    with caplog.at_level("INFO", "tlearn"):
        opened(root)
    told = "all pictures lie in folders of the class folders; a class is dog and not dog/dog, dog/left"
    assert told in caplog.messages


def test_folders_and_pictures_beside_train_are_said(tlearn: Tlearn, tmp_path: Path, root: Path) -> None:
    shutil.rmtree(root)
    write_splits(root)
    write_folder(root, ("cat", "fox"), count=3)
    (root / "docs").mkdir()
    picture("cat", 1).save(root / "loose.png")
    answer = fit(tlearn)
    assert answer.code == 0, answer.err
    told = "folders beside train are not used: cat (3 images), fox (3 images)"
    assert told in answer.err.splitlines()
    assert "pictures beside train, in no class folder, are not used: 1" in answer.err
    answer = tlearn("doctor", "--config", "folder.yaml")
    assert told in findings()


def test_names_of_splits_in_capitals_are_known(root: Path) -> None:
    shutil.rmtree(root)
    write_splits(root)
    (root / "train").rename(root / "Train")
    (root / "val").rename(root / "Validation")
    data = opened(root)
    assert (len(data.dataset("train")), len(data.dataset("val"))) == (24, 12)


def test_a_missing_class_is_no_share(root: Path) -> None:
    with pytest.raises(
        TlearnError, match=r"test_fraction 1e-06 holds back none of 60 files; raise it, or add pictures"
    ):
        opened(root, test_fraction=1e-6)
