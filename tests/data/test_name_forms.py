"""Names and paths that a file system, a spreadsheet or another machine has changed."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import CONFIG, picture, write_folder
from tlearn import ImageFolderDataModule, ImageTableDataModule, StreamingDataModule, TlearnError, TransferModule
from tlearn.base.name_forms import canonical, looks
from tlearn.data.class_names import Spelling

NFC, NFD = (unicodedata.normalize(form, "hérisson") for form in ("NFC", "NFD"))
NAMES = ("cat", "dog", "eel")


@pytest.fixture(autouse=True)
def _pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number in range(12):
        picture(NAMES[number % 3], number).save(f"photos/{number:02d}.png")
    table = CONFIG.replace("ImageFolderDataModule", "ImageTableDataModule").replace("root: pictures", "table: t.csv")
    (tmp_path / "table.yaml").write_text(table)
    (tmp_path / "folder.yaml").write_text(CONFIG)


def write(labels: Sequence[str], paths: Sequence[str] | None = None) -> None:
    paths = paths or [f"photos/{number:02d}.png" for number in range(12)]
    lines = [f"{path},{label}" for path, label in zip(paths, labels, strict=True)]
    Path("t.csv").write_text("\n".join(["path,label", *lines]))


def table(**options: Any) -> ImageTableDataModule:
    data = ImageTableDataModule("t.csv", **{"size_px": 16, "val_fraction": 0.2, **options})
    data.setup("fit")
    return data


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (NFC, NFD),
        ("1", "1.0"),
        ("-3", "-3.000"),
        ("TRUE", "True"),
        ("false", "FALSE"),
        (" hot  dog", "hot\u00a0dog"),
        ("\ufeffcat", "cat"),
    ],
)
def test_what_a_program_changes_is_one_name(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)
    assert Spelling([one, other]).names == [one]
    assert [remark.kind for remark in Spelling([one, other]).remarks([one, other])] == ["names_merged"]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Cat", "cat", True),
        ("hotdog", "hot dog", True),
        ("007", "7", True),
        ("\uff43at", "cat", True),
        ("1", "1.5", False),
        ("1.1", "1.10", False),
        ("cat", "car", False),
    ],
)
def test_what_somebody_typed_is_kept_apart(one: str, other: str, alike: bool) -> None:
    assert canonical(one) != canonical(other)
    assert (looks(one) == looks(other)) == alike
    assert Spelling([one, other]).names == [one, other]
    assert [remark.kind for remark in Spelling([one, other]).remarks([one, other])] == ["names_alike"] * alike


@pytest.mark.parametrize(
    ("labels", "names", "counts"),
    [
        (["1", "1.0", "2"] * 4, ["1", "2"], [8, 4]),
        (["TRUE", "True", "FALSE", "False"] * 3, ["FALSE", "TRUE"], [6, 6]),
        ([NFD, NFC, "cat"] * 4, ["cat", NFD], [4, 8]),
    ],
)
def test_a_table_has_one_class_as_it_was_written_first(
    labels: list[str], names: list[str], counts: list[int], said: pytest.LogCaptureFixture
) -> None:
    write(labels)
    data = table()
    assert data.class_names == names
    train, val = (data.dataset(split) for split in ("train", "val"))
    assert torch.bincount(torch.cat([each.targets[each.indices] for each in (train, val)])).tolist() == counts
    assert "names that a program has changed count as one class: " in said.text
    assert table(classes=[unicodedata.normalize("NFC", name) for name in names]).class_names == names


@pytest.mark.parametrize(
    ("labels", "kind", "severity", "what"),
    [
        (["Cat", "dog", "cat"] * 4, "names_alike", "warning", "kept apart: 'Cat' and 'cat'; if they are one"),
        (["1", "2", "1.0"] * 4, "names_merged", "note", "count as one class: '1' (also written '1.0')"),
        ([NFC, "dog", NFD] * 4, "names_merged", "note", "'hérisson' (also written 'he\\u0301risson')"),
        (["NaN", "dog", "cat"] * 4, "names_of_no_value", "warning", "a class is called 'NaN', as programs write"),
    ],
)
def test_fit_and_doctor_name_them(tlearn: Tlearn, labels: list[str], kind: str, severity: str, what: str) -> None:
    write(labels)
    answer = tlearn("doctor", "--config", "table.yaml")
    assert answer.code == 0, answer.err
    (found,) = (each for each in json.loads(Path("doctor.json").read_text())["findings"] if each["kind"] == kind)
    assert found["severity"] == severity
    assert what in found["what"]
    answer = tlearn("fit", "--config", "table.yaml", "--trainer.max_epochs", "1")
    assert answer.code == 0, answer.err
    assert sum(what in line for line in answer.err.splitlines()) == 1


def test_a_name_of_no_value_that_is_not_learned_needs_no_advice(tlearn: Tlearn) -> None:
    write(["NaN", "dog", "cat"] * 4)
    answer = tlearn("fit", "--config", "table.yaml", "--trainer.fast_dev_run", "true", "--data.classes", "[cat,dog]")
    assert answer.code == 0, answer.err
    assert "ignored classes not trained on: NaN (4 images)" in answer.err
    assert "as programs write an empty cell" not in answer.err


def test_folders_of_two_forms_are_one_class(said: pytest.LogCaptureFixture) -> None:
    """A folder unpacked on a Mac beside one made on Linux, and a validation folder of either."""
    write_folder(Path("pictures/train"), ("cat", "dog", "eel"), count=4)
    write_folder(Path("pictures/val"), ("cat", "dog"), count=2, start=9)
    Path("pictures/train/dog").rename(f"pictures/train/{NFC}")
    Path("pictures/train/eel").rename(f"pictures/train/{NFD}")
    Path("pictures/val/dog").rename(f"pictures/val/{NFD}")
    data = ImageFolderDataModule("pictures", size_px=16)
    data.setup("fit")
    assert data.class_names == ["cat", NFD]  # the first in the order of code points
    assert [len(data.dataset(split)) for split in ("train", "val")] == [12, 4]
    assert "(also written 'h\\xe9risson')" not in said.text
    assert "'he\\u0301risson' (also written 'hérisson')" in said.text


def test_another_case_in_validation_is_named() -> None:
    write_folder(Path("pictures/train"), ("cat", "dog"), count=4)
    write_folder(Path("pictures/Val"), ("cat", "dog"), count=2, start=9)  # as Windows may write it
    Path("pictures/Val/dog").rename("pictures/Val/Dog")
    with pytest.raises(TlearnError, match=r"not trained on: Dog \(2 images\).*; 'Dog' and 'dog' differ in letter case"):
        ImageFolderDataModule("pictures", size_px=16).setup("fit")


@pytest.mark.parametrize("source", ["folder", "table"])
def test_an_ignored_class_that_looks_like_another_is_named(source: str, said: pytest.LogCaptureFixture) -> None:
    write_folder(Path("pictures/train"), ("cat", "dog"), count=4)
    write_folder(Path("pictures/val"), ("cat", "dog"), count=2, start=9)
    Path("pictures/val/dog").rename("pictures/val/Dog")
    files = sorted(Path("pictures").rglob("*.png"))
    rows = [f"{path.as_posix()},{path.parts[2]},{path.parts[1]}" for path in files]
    Path("t.csv").write_text("\n".join(["path,label,split", *rows]))
    if source == "folder":
        ImageFolderDataModule("pictures", size_px=16, unknown_classes="ignore").setup("fit")
    else:
        table(unknown_classes="ignore")
    assert "ignored classes not trained on: Dog (2 images); 'Dog' and 'dog' differ in letter case" in said.text


def test_one_class_in_two_forms_is_one_class() -> None:
    for name in (NFC, NFD):
        write_folder(Path("pictures/train"), ("cat",), count=2)
        Path("pictures/train/cat").rename(f"pictures/train/{name}")
    with pytest.raises(TlearnError, match="found 1 class"):
        ImageFolderDataModule("pictures")


@pytest.mark.parametrize("source", ["folder", "table"])
def test_a_checkpoint_keeps_apart_what_were_two_classes_before(source: str) -> None:
    """It was trained before ``1`` and ``1.0`` counted as one name: it goes on, and is judged, as it was."""
    stored, made = ["1", "1.0", "TRUE", "True"], list[ImageFolderDataModule | ImageTableDataModule]()
    if source == "table":
        write([stored[number % 4] for number in range(12)])
        made += [ImageTableDataModule("t.csv", stored_classes=each, size_px=16) for each in (stored, None)]
    else:
        for number in range(12):
            Path(f"apart/train/{stored[number % 4]}").mkdir(parents=True, exist_ok=True)
            picture("cat", number).save(f"apart/train/{stored[number % 4]}/{number}.png")
        made += [ImageFolderDataModule("apart", stored_classes=each, size_px=16) for each in (stored, None)]
    of_before, anew = made
    assert (of_before.class_names, anew.class_names) == (stored, ["1", "TRUE"])
    assert [remark.kind for remark in of_before.class_remarks] == ["names_alike"]
    files = of_before.list_split("train")
    assert files is not None
    assert torch.bincount(files.targets).tolist() == [3, 3, 3, 3]


def test_a_checkpoint_knows_its_classes_in_another_form(tlearn: Tlearn) -> None:
    """Trained on Linux, tested and gone on with on a Mac: names, and so numbers, are the checkpoint's."""
    write_folder(Path("pictures/train"), ("cat", "dog"), count=4)
    Path("pictures/train/dog").rename("pictures/train/hézz")
    Path("pictures/train/cat").rename("pictures/train/hfzz")  # behind it decomposed, before it composed
    answer = tlearn("fit", "--config", "folder.yaml", "--trainer.max_epochs", "1")
    assert answer.code == 0, answer.err
    Path("pictures/train").rename("pictures/test")
    Path("pictures/test/hézz").rename(f"pictures/test/{unicodedata.normalize('NFD', 'hézz')}")
    answer = tlearn("test", "--ckpt_path", "runs/folder/version_0")
    assert answer.code == 0, answer.err
    assert "(hfzz 4, hézz 4)" in answer.err
    Path("pictures/test").rename("pictures/train")
    answer = tlearn("validate", "--ckpt_path", "runs/folder/version_0")
    assert answer.code == 0, answer.err
    assert "train: 8 images of 2 classes (hfzz 4, hézz 4)" in answer.err


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (r"photos\{:02d}.png", r"found 12 paths with \ for /"),
        (r"C:\Users\Ana\project\photos\{:02d}.png", "found 12 paths from another place"),
        ("//server/share/photos/{:02d}.png", "found 12 paths from another place"),
        ("/home/ana/project/photos/{:02d}.png", "found 12 paths from another place"),
        ("dataset/photos/{:02d}.png", "found 12 paths from another place"),
        (" photos/{:02d}.png\u00a0", "found 12 paths with blanks around them"),
        ("Photos/{:02d}.PNG", "found 12 paths in another letter case"),
        ("photos/{:02d}", "found 12 paths without the file's ending"),
    ],
)
def test_paths_of_another_machine_are_found(paths: str, told: str, said: pytest.LogCaptureFixture) -> None:
    write(NAMES * 4, [paths.format(number) for number in range(12)])
    data = table()
    assert data.split_record()["train_files"] + data.split_record()["val_files"] != []
    found = sorted(data.split_record()["train_files"] + data.split_record()["val_files"])
    assert found == [f"photos/{number:02d}.png" for number in range(12)]
    assert told in said.text
    write(NAMES * 4)
    assert table().split_record() == data.split_record()  # the same pictures validate


def test_a_path_of_another_form_is_found(said: pytest.LogCaptureFixture) -> None:
    Path("photos/00.png").rename(f"photos/{NFC}.png")
    write(NAMES * 4, [f"photos/{NFD}.png", *[f"photos/{number:02d}.png" for number in range(1, 12)]])
    assert len(table().dataset("train")) == 9
    assert "found 1 path in another form of Unicode" in said.text


def test_what_could_be_two_files_is_not_guessed() -> None:
    """Two endings, two letter cases, and a drive whose tail lies in two places."""
    for name in ("00.jpg", "01.PNG"):
        picture("cat", 50).save(f"photos/{name}")
    rest = [f"photos/{number:02d}.png" for number in range(2, 12)]
    write(NAMES * 4, ["photos/00", "photos/01.Png", *rest])
    with pytest.raises(TlearnError, match=r"2 of 12 train pictures cannot be read: .*photos/00 \(No such file"):
        table()
    for number in range(12):
        picture(NAMES[number % 3], number + 20).save(f"{number:02d}.png")
    write(NAMES * 4, [rf"D:\photos\{number:02d}.png" for number in range(12)])
    with pytest.raises(TlearnError, match=r"12 of 12 pictures do not lie under .*, a path of Windows; give the folder"):
        table()


def test_what_lies_elsewhere_is_no_picture_to_leave_out(tlearn: Tlearn) -> None:
    write(NAMES * 4, [rf"C:\pictures\{number:03d}.png" for number in range(12)])
    answer = tlearn("doctor", "--config", "table.yaml", "--fix")
    assert answer.code == 2
    assert "12 of 12 pictures do not lie under" in answer.err
    assert "nothing to leave out" in answer.out
    assert "doctor --fix" not in answer.err
    assert not Path("tlearn-exclude.json").exists()
    answer = tlearn("fit", "--config", "table.yaml")
    assert answer.code == 2
    assert r"the first is C:\pictures\000.png, a path of Windows; give the folder that paths start from" in answer.err
    assert "--fix" not in answer.err


def test_the_list_of_another_machine_is_honoured() -> None:
    """Its names may be in another form, and with the separators of Windows: in silence nothing would be left out."""
    Path("photos/00.png").rename(f"photos/{NFC}.png")
    write(NAMES * 4, [f"photos/{NFC}.png", *[f"photos/{number:02d}.png" for number in range(1, 12)]])
    Path("tlearn-exclude.json").write_text(json.dumps({f"photos/{NFD}.png": "blurred", "photos\\03.png": "blurred"}))
    assert sum(len(table().dataset(split)) for split in ("train", "val")) == 10


def test_a_head_and_an_export_know_their_classes_in_another_form(tlearn: Tlearn) -> None:
    """Class folders that went over a Mac: the head is the same, and what is written keeps the first spelling."""
    write_folder(Path("pictures/train"), ("cat", "dog"), count=4)
    Path("pictures/train/dog").rename(f"pictures/train/{NFC}")
    assert tlearn("fit", "--config", "folder.yaml", "--trainer.max_epochs", "1").code == 0
    Path(f"pictures/train/{NFC}").rename(f"pictures/train/{NFD}")
    last = "runs/folder/version_0/checkpoints/last.ckpt"
    answer = tlearn("fit", "--config", "folder.yaml", "--trainer.max_epochs", "1", "--model.weights", last)
    assert answer.code == 0, answer.err
    assert "head loaded too (2 tensors, same classes)" in answer.err
    data = ImageFolderDataModule("pictures", size_px=32)
    module = TransferModule(2, class_names=data.class_names, weights=None, tap="layer1", image_size=32)
    trainer = Trainer(logger=False, enable_progress_bar=False, accelerator="cpu", use_distributed_sampler=False)
    with pytest.warns(UserWarning, match="callbacks used to create the checkpoint"):  # this Trainer has none of them
        trainer.validate(module, datamodule=data, ckpt_path=last, verbose=False)
    assert (data.class_names, module.class_names) == (["cat", NFD], ["cat", NFC])
    exported = tlearn("export", "--ckpt_path", last, "--out", "model.pt2")
    assert exported.code == 0, exported.err
    assert "checked on 2 validation images" in exported.out + exported.err
    resumed = tlearn("fit", "--ckpt_path", last, "--trainer.max_epochs", "2")
    assert resumed.code == 0, resumed.err
    assert torch.load(last, weights_only=True)["tlearn"]["class_names"] == ["cat", NFC]


def test_shards_are_asked_for_classes_in_any_form(tlearn: Tlearn) -> None:
    pytest.importorskip("litdata")
    write_folder(Path("pictures/train"), ("cat", "dog", "eel"), count=4)
    Path("pictures/train/dog").rename(f"pictures/train/{NFC}")
    Path("pictures/train/eel").rename(f"pictures/train/{NFD}")
    assert tlearn("optimize", "pictures", "shards").code == 0
    data = StreamingDataModule("shards", classes=[NFC, "cat"], size_px=16)
    assert data.class_names == [NFD, "cat"]
    data.setup("fit")
    assert sum(len(data.dataset(split)) for split in ("train", "val")) == 12
