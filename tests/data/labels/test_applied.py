"""The list of labels, applied: in folders and tables, in every verb that learns or measures."""

from __future__ import annotations

import csv
import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Answer, Tlearn
from tests.helpers.fake_pictures import CONFIG, picture, write_folder, write_splits
from tlearn import ImageFolderDataModule, ImageTableDataModule, TlearnError
from tlearn.data.labels.label_list import LABELS, Decision, LabelList
from tlearn.data.sources.labelled_files import ImageFilesDataModule

SAID = "4 labels changed, 2 pictures left out by tlearn-labels.csv"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight pictures of each class to train on, four to validate on and four to test on."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.yaml").write_text(CONFIG.replace("max_epochs: 2", "max_epochs: 1"))
    return write_splits(tmp_path / "pictures")


def decide(root: Path, *rows: tuple[str, str, str, str]) -> None:
    LabelList(root).decide([Decision(*row) for row in rows])  # type: ignore[arg-type]


def cats_of_dogs(root: Path) -> None:
    """Change four labels of the training pictures, leave two pictures out, and decide what changes nothing."""
    decide(
        root,
        *[(f"train/dog/dog{number:03d}.png", "dog", "cat", "change") for number in range(4)],
        *[(f"train/eel/eel{number:03d}.png", "eel", "", "exclude") for number in range(2)],
        ("train/eel/eel002.png", "eel", "", "unsure"),
        ("train/eel/eel003.png", "eel", "eel", "keep"),
        ("val/eel/eel500.png", "eel", "dog", "change"),
        ("test/eel/eel700.png", "eel", "", "exclude"),
    )


def labels_of(data: ImageFilesDataModule, split: Any) -> dict[str, str]:
    files = data.files_of(split)
    assert files is not None
    return {name: data.class_names[int(number)] for name, number in zip(files.names, files.targets, strict=True)}


def as_table(root: Path) -> Path:
    """Write a table beside the pictures of a folder."""
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    table = root / "table.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(
            [["path", "label", "split"], *[[name, name.split("/")[1], name.split("/")[0]] for name in names]]
        )
    return table


def data_of(root: Path, kind: str, **options: Any) -> ImageFilesDataModule:
    if kind == "folder":
        return ImageFolderDataModule(root=str(root), **options)
    return ImageTableDataModule(table=str(as_table(root)), **options)


@pytest.mark.parametrize("kind", ["folder", "table"])
def test_all_splits_of_folders_and_tables(root: Path, kind: str) -> None:
    plain = {split: labels_of(data_of(root, kind), split) for split in ("train", "val", "test")}
    assert Counter(plain["train"].values()) == {"cat": 8, "dog": 8, "eel": 8}
    cats_of_dogs(root)
    data = data_of(root, kind)
    found = {split: labels_of(data, split) for split in plain}
    assert data.class_names == ["cat", "dog", "eel"]
    assert Counter(found["train"].values()) == {"cat": 12, "dog": 4, "eel": 6}
    assert {name for name in found["train"] if found["train"][name] != plain["train"][name]} == {
        f"train/dog/dog{number:03d}.png" for number in range(4)
    }
    assert plain["train"].keys() - found["train"].keys() == {"train/eel/eel000.png", "train/eel/eel001.png"}
    assert found["val"] == plain["val"] | {"val/eel/eel500.png": "dog"}
    assert plain["test"].keys() - found["test"].keys() == {"test/eel/eel700.png"}
    assert (data.listed.old_of("train/dog/dog000.png", "cat"), data.listed.old_of("train/cat/cat000.png", "cat")) == (
        "dog",
        "cat",
    )


@pytest.mark.parametrize("kind", ["folder", "table"])
def test_a_row_counts_while_the_old_label_stands(root: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    decide(
        root,
        ("train/dog/dog000.png", "cat", "eel", "change"),  # of another label than the picture has
        ("train/dog/dog001.png", "cat", "dog", "change"),  # mended in folder or table meanwhile
        ("train/dog/dog002.png", "cat", "", "exclude"),
        ("train/dog/gone.png", "dog", "cat", "change"),
        ("train/dog/go\nne\x1b[31m.png", "dog", "cat", "change"),
        ("train/dog/gone2.png", "dog", "dog", "keep"),
        ("test/eel/eel700.png", "eel", "", "exclude"),  # of a split that a fit does not open
    )
    data = data_of(root, kind)
    assert Counter(labels_of(data, "train").values()) == {"cat": 8, "dog": 8, "eel": 8}
    with caplog.at_level(logging.INFO):
        data.setup("fit")
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warned == [
        f"train: 2 rows of {LABELS} are out of date, because the label by folder or table is another by now: "
        "train/dog/dog000.png has 'dog', the row says 'cat'; decide anew, or remove the row",
        f"2 rows of {LABELS} name files that are not there: train/dog/gone.png, train/dog/go\\nne\\x1b[31m.png; "
        "put them back, or remove the rows",
    ]
    assert "left out by" not in caplog.text


@pytest.mark.parametrize("kind", ["folder", "table"])
def test_new_classes_and_emptied_ones(root: Path, kind: str) -> None:
    decide(
        root,
        *[(f"train/dog/dog{number:03d}.png", "dog", "cat", "change") for number in range(8)],
        *[(f"train/eel/eel{number:03d}.png", "eel", " fox", "change") for number in range(4)],
        ("train/eel/eel004.png", "eel", "fox", "change"),  # the same class for all but a program
    )
    data = data_of(root, kind, unknown_classes="ignore")
    assert Counter(name.strip() for name in labels_of(data, "train").values()) == {"cat": 16, "eel": 3, "fox": 5}
    assert [name.strip() for name in data.class_names] == [*(["fox"] if kind == "folder" else []), "cat", "eel"] + (
        ["fox"] if kind == "table" else []
    )
    chosen = data_of(root, kind, unknown_classes="ignore", classes=["eel", "cat"])
    assert Counter(labels_of(chosen, "train").values()) == {"cat": 16, "eel": 3}
    rare = data_of(root, kind, unknown_classes="ignore", min_per_class=4)
    assert Counter(name.strip() for name in labels_of(rare, "train").values()) == {"cat": 16, "fox": 5}
    if kind == "folder":
        notes = [remark.what for remark in data.class_remarks if remark.kind == "listed_classes"]
        assert notes == [
            f"classes by {LABELS}, without a folder:  fox (5 images)",
            f"dog is no class: {LABELS} leaves no picture to train on there",
        ]


def test_pictures_without_a_label(root: Path) -> None:
    for number in range(3):
        picture("cat", 30 + number).save(root / "train" / f"loose{number}.png")
    decide(root, ("train/loose0.png", "", "cat", "label"), ("train/loose1.png", "", "", "exclude"))
    data = data_of(root, "folder")
    assert labels_of(data, "train")["train/loose0.png"] == "cat"
    files = data.files_of("train")
    assert files is not None
    assert (len(files.names), files.remarks) == (25, "ignored 1 pictures outside any class folder")
    table = as_table(root)
    lines = table.read_text().splitlines()
    loose = [f"train/loose{number}.png,,train" for number in range(3)]
    table.write_text("\n".join([*(line for line in lines if "loose" not in line), *loose]))
    by_table = ImageTableDataModule(table=str(table), on_error="skip")
    assert labels_of(by_table, "train") == labels_of(data, "train")
    with pytest.raises(TlearnError, match=r"row 52: no label"):
        ImageTableDataModule(table=str(table))


@pytest.mark.parametrize("task", ["multilabel", "regression", "boxes"])
def test_a_list_is_refused_where_a_picture_has_not_one_class(root: Path, task: str) -> None:
    rows = [f"{path.relative_to(root)},1,0 0 4 4" for path in sorted((root / "train").rglob("*.png"))]
    (root / "t.csv").write_text("\n".join(["path,label,box", *rows]))
    options: dict[str, Any] = {"crop_column": "box"} if task == "boxes" else {"task": task}
    decide(root, ("train/cat/cat000.png", "cat", "dog", "change"))
    with pytest.raises(TlearnError) as caught:
        ImageTableDataModule(table=str(root / "t.csv"), **options)
    what = "several objects in a picture" if task == "boxes" else f"task {task}"
    assert str(caught.value) == (
        f"{root / LABELS}: a list of labels is for one class an image, not for {what}; move it away"
    )


def test_a_damaged_list_stops_before_anything_is_read(tlearn: Tlearn, root: Path) -> None:
    (root / LABELS).write_text("path,old,label,decision,time,doubt\na.png,cat,dog,delete,,\n")
    answer = tlearn("fit", "--config", "folder.yaml")
    assert answer.code == 2
    assert f"{root / LABELS}, row 2: the decision is 'delete', expected keep, change" in answer.err
    assert not Path("runs").exists()


def first_line(answer: Answer, start: str) -> str:
    return next(line for line in (answer.err + answer.out).splitlines() if line.startswith(start))


def test_fit_says_it_and_records_it_and_test_follows(tlearn: Tlearn, root: Path) -> None:
    cats_of_dogs(root)
    fitted = tlearn("fit", "--config", "folder.yaml")
    assert fitted.code == 0, fitted.err
    assert first_line(fitted, "train: ") == (f"train: 22 images of 3 classes (cat 12, dog 4, eel 6) in {root}; {SAID}")
    assert first_line(fitted, "val: ").endswith("; 1 label changed by tlearn-labels.csv")
    (run,) = Path("runs").rglob("split.json")
    record = json.loads(run.read_text())
    listed = record["label_list"]
    assert (listed["file"], listed["decisions"], len(listed["digest"])) == (LABELS, 10, 32)
    assert listed["train"] == {"changed": 4, "left_out": 2, "unsure": 1, "kept": 1}
    assert listed["val"] == {"changed": 1}
    assert len(record["train"]) == 22
    card = json.loads((run.parent / "card.json").read_text())
    assert f"10 decisions in {LABELS}: 5 changed, 2 left out, 1 kept, 1 unsure" in json.dumps(card)
    tested = tlearn("test", str(run.parent))
    assert (tested.code, first_line(tested, "test: ")) == (
        0,
        f"test: 11 images of 3 classes (cat 4, dog 4, eel 3) in {root}; 1 picture left out by tlearn-labels.csv",
    )


def test_a_run_whose_classes_the_list_made_is_validated_and_tested(tlearn: Tlearn, root: Path) -> None:
    cats = {"train": range(8), "val": range(500, 504), "test": range(700, 704)}
    decide(root, *[(f"{s}/cat/cat{n:03d}.png", "cat", "fox", "change") for s, numbers in cats.items() for n in numbers])
    fitted = tlearn("fit", "--config", "folder.yaml")
    assert fitted.code == 0, fitted.err
    (run,) = Path("runs").rglob("split.json")
    for verb, split in (("validate", "val"), ("test", "test")):
        answer = tlearn(verb, str(run.parent))
        assert answer.code == 0, answer.err
        assert f"{split}: 12 images of 3 classes (dog 4, eel 4, fox 4)" in first_line(answer, f"{split}: ")


def test_a_class_that_the_list_gives_to_no_training_picture_is_refused_by_the_name_of_the_list(root: Path) -> None:
    decide(root, ("val/cat/cat501.png", "cat", "gnu", "change"))
    data = ImageFolderDataModule(str(root), size_px=16)
    with pytest.raises(TlearnError, match=r"gnu \(1 image\); .*: mend the folder or tlearn-labels\.csv, or data"):
        data.files_of("val")


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["probe", "advise", "plan", "validate"])
def test_every_verb_says_it(tlearn: Tlearn, root: Path, verb: str) -> None:
    words = ["--config", "folder.yaml"]
    if verb == "validate":
        assert tlearn("fit", *words).code == 0
        (words,) = [[str(path.parent)] for path in Path("runs").rglob("split.json")]
    cats_of_dogs(root)
    answer = tlearn(verb, *words)
    assert answer.code == 0, answer.err
    if verb == "validate":
        assert first_line(answer, "val: ").endswith("; 1 label changed by tlearn-labels.csv")
    else:
        assert first_line(answer, "train: ").endswith(SAID)


def test_with_a_share_held_back_to_test_on(tlearn: Tlearn, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for split in ("val", "test"):
        for path in (root / split).rglob("*.png"):
            path.unlink()
        for folder in (root / split).iterdir():
            folder.rmdir()
        (root / split).rmdir()
    decide(root, *[(f"train/dog/dog{number:03d}.png", "dog", "cat", "change") for number in range(4)])
    data = data_of(root, "folder", test_fraction=0.3)
    counts = {}
    for stage, split in (("fit", "train"), ("test", "test")):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            data.setup(stage)
        told = next(text for text in caplog.messages if text.startswith(f"{split}: ") and " images of " in text)
        counts[split] = int(told.split(" label")[0].split()[-1]) if "changed by" in told else 0
        assert counts[split] == sum(
            label == "cat" and "/dog/" in name for name, label in labels_of(data, split).items()
        )
    assert sum(counts.values()) == 4


@pytest.mark.slow
def test_a_resume_names_the_list(tlearn: Tlearn, root: Path) -> None:
    cats_of_dogs(root)
    assert tlearn("fit", "--config", "folder.yaml", "--trainer.max_epochs", "1").code == 0
    (last,) = Path("runs").rglob("last.ckpt")
    again = ["fit", f"--ckpt_path={last}", "--trainer.max_epochs", "2"]
    decide(root, ("train/eel/eel004.png", "eel", "", "exclude"))
    changed = tlearn(*again)
    assert (changed.code, f"{root / LABELS}: the list has changed, so the labels are not those of" in changed.err) == (
        2,
        True,
    )
    LabelList(root).undo(["train/eel/eel004.png"])
    decide(root, ("train/eel/eel005.png", "eel", "", "keep"))  # changes nothing
    resumed = tlearn(*again)
    assert resumed.code == 0, resumed.err


def test_one_row_is_never_of_two_pictures(tlearn: Tlearn, tmp_path: Path, root: Path) -> None:
    for name in ("e\u0301.png", "\u00e9.png"):
        picture("cat", 1 + len(name)).save(root / "train/cat" / name)
    assert len(labels_of(ImageFolderDataModule(str(root), size_px=16), "train")) == 24 + 2  # no row is of them
    decide(root, ("train/cat/\u00e9.png", "cat", "dog", "change"))
    for verb in ("fit", "review", "doctor"):
        answer = tlearn(verb, "--config", "folder.yaml")
        assert answer.code == 2
        assert (
            "differ in the form of letters or slashes alone, so tlearn-labels.csv cannot tell them apart" in answer.err
        )


def test_a_list_finds_the_pictures_of_a_table_that_writes_dots_and_says_where_it_finds_none(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = as_table(root)
    decide(root, ("train/dog/dog000.png", "dog", "cat", "change"))
    table.write_text(table.read_text().replace("train/", "./train/"))
    data = ImageTableDataModule(str(table), size_px=16)
    assert labels_of(data, "train")["./train/dog/dog000.png"] == "cat"
    table.write_text(table.read_text().replace("./train/", f"{root}/train/"))
    ImageTableDataModule(str(table), size_px=16).setup("fit")
    said = "no row of tlearn-labels.csv names a picture that trains or validates: its paths are relative to its folder"
    assert f"{said}, as in train/dog/dog000.png" in caplog.text


def test_nothing_is_said_without_a_list(tlearn: Tlearn, root: Path) -> None:
    fitted = tlearn("fit", "--config", "folder.yaml")
    assert fitted.code == 0
    assert "tlearn-labels" not in fitted.err + fitted.out
    (run,) = Path("runs").rglob("split.json")
    assert "label_list" not in json.loads(run.read_text())


def test_a_plain_folder_of_classes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_folder(tmp_path)
    decide(tmp_path, ("dog/dog000.png", "dog", "cat", "change"))
    data = ImageFolderDataModule(root=str(tmp_path))
    with caplog.at_level(logging.INFO):
        data.setup("fit")
    assert "1 label changed by tlearn-labels.csv" in caplog.text
    assert "hidden" not in caplog.text  # the lock beside the list is ours


def test_mended_labels_leave_the_features_as_they_are(tlearn: Tlearn, root: Path) -> None:
    words = ["fit", "--config", "folder.yaml", "--model.freeze_backbone", "true"]
    assert "computed once" in tlearn(*words).err
    decide(root, *[(f"train/dog/dog{number:03d}.png", "dog", "fox", "change") for number in range(4)])
    again = tlearn(*words, "--data.unknown_classes", "ignore")
    assert again.code == 0, again.err
    assert "fox 4" in again.err
    assert "computed once" not in again.err
    assert again.err.count("from the cache") == 2  # of train and of val
