"""A folder in which the list alone gives the labels, from doctor to predict."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import write_flat, write_folder
from tlearn.analysis.pool.labelled_pool import LabelledPool
from tlearn.data import ImageFolderDataModule, ListedFolderDataModule
from tlearn.data.files.reading import Framing
from tlearn.data.labels.label_list import LABELS, Decision, LabelList, are_labels_listed
from tlearn.pages.review.decided import Decided

QUICK = ("--model.weights", "null", "--model.image_size", "32")


def _label(folder: Path, paths: list[Path]) -> None:
    rows = [Decision(path.relative_to(folder).as_posix(), "", path.stem[3:], "label") for path in paths]
    LabelList(folder).decide(rows)


def test_the_doctor_looks_at_pictures_without_a_label(tlearn: Tlearn) -> None:
    paths = write_flat(Path("photos"))
    shutil.copy(paths[0], "photos/copy.png")
    answer = tlearn("doctor", "photos")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("train: 8 pictures, 8 without a label; PNG; colour; short side 64 px\n")
    assert "1 picture more than once in a split" in answer.out
    assert answer.out.endswith("next: tlearn doctor photos --fix\n")
    assert tlearn("doctor", "photos", "--fix").out.endswith("next: tlearn label photos --next 50\n")
    assert json.loads(Path("doctor.json").read_text())["class_names"] == []


def test_a_folder_beside_others_may_be_a_class(tlearn: Tlearn, tmp_path: Path) -> None:
    write_folder(Path("animals"))
    answer = tlearn("doctor", "animals/cat")
    assert answer.code == 0, answer.err
    assert f"if those are classes, look at {tmp_path / 'animals'}" in answer.out


def test_a_fit_learns_the_listed_labels_and_says_what_it_leaves(tlearn: Tlearn) -> None:
    paths = write_flat(Path("photos"), 26)
    refused = tlearn("fit", "photos", *QUICK)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "pictures without labels: tlearn label FOLDER" in refused.err
    _label(Path("photos"), paths[:24])
    LabelList("photos").decide(
        [
            Decision("00_cat.png", "", "", "exclude"),
            Decision("01_dog.png", "dog", "", "unsure"),
            Decision("02_eel.png", "eel", "cat", "change"),
            Decision("gone.png", "", "cat", "label"),
        ]
    )
    answer = tlearn("fit", "photos", *QUICK)
    assert answer.code == 0, answer.err
    assert "not used, without a label: 2 pictures" in answer.out + answer.err
    assert ".csv" not in (answer.out + answer.err).replace(LABELS, "").replace("predictions.csv", "").replace(
        "oof.csv", ""
    )
    assert ", 1 label changed, 1 picture left out by tlearn-labels.csv" in answer.out + answer.err
    run = Path("runs/photos/version_0")
    split = json.loads((run / "split.json").read_text())
    names = {*split["train_files"], *split["val_files"]}
    assert names == {path.name for path in paths[1:24]}
    assert "1 row of tlearn-labels.csv without a picture" in tlearn("doctor", "photos").out
    predicted = tlearn("predict", "runs/photos", "photos", "--out", "answers.csv")
    assert predicted.code == 0, predicted.err
    assert len(Path("answers.csv").read_text().splitlines()) == 27


def test_whose_folders_are_classes(tmp_path: Path) -> None:
    write_folder(tmp_path / "animals")
    LabelList(tmp_path / "animals").decide([Decision("loose.png", "", "cat", "label")])
    assert not are_labels_listed(tmp_path / "animals")  # the list adds to what the folders say
    write_flat(tmp_path / "photos/2026-05")
    assert not are_labels_listed(tmp_path / "photos")
    LabelList(tmp_path / "photos").decide([Decision("2026-05/00_cat.png", "", "cat", "label")])
    assert are_labels_listed(tmp_path / "photos")
    write_folder(tmp_path / "splits/train")
    LabelList(tmp_path / "splits").decide([Decision("train/loose.png", "", "cat", "label")])
    assert not are_labels_listed(tmp_path / "splits")
    LabelList(tmp_path / "splits").decide([Decision("train/cat/cat000.png", "", "dog", "label")])
    assert are_labels_listed(tmp_path / "splits")
    write_flat(tmp_path / "flat")
    LabelList(tmp_path / "flat").decide([Decision("00_cat.png", "", "cat", "label")])
    assert are_labels_listed(tmp_path / "flat")


def test_labels_are_those_of_the_list(tmp_path: Path) -> None:
    paths = write_flat(tmp_path / "photos", 9)
    _label(tmp_path / "photos", paths)
    LabelList(tmp_path / "photos").decide([Decision("02_eel.png", "eel", "cat", "change")])
    data = ListedFolderDataModule(str(tmp_path / "photos"), size_px=16, val_fraction=0.0)
    data.setup("fit")
    images = data.dataset("train")
    assert data.class_names == ["cat", "dog", "eel"]
    assert images.targets[images.indices].tolist() == [0, 1, 0, 0, 1, 2, 0, 1, 2]


def test_review_decides_on_what_label_wrote_and_undoes_it(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    paths = write_flat(photos, 9)
    _label(photos, paths)
    before = LabelList(photos).read()
    pool = LabelledPool(
        root=photos,
        names=[path.name for path in paths],
        labels=torch.tensor([0, 1, 2] * 3),
        class_names=["cat", "dog", "eel"],
        groups=None,
        group_names=[],
        features=torch.randn(9, 4),
        framing=Framing(16),
        is_validation=torch.zeros(9, dtype=torch.bool),
    )
    decided = Decided(pool, [""] * 9)
    assert decided.counts()["decided"] == 0  # labels are no decisions of a review
    decided.decide([{"id": 0, "decision": "change", "label": "dog"}, {"id": 1, "decision": "exclude"}], ["", ""])
    data = ListedFolderDataModule(str(photos), size_px=16, val_fraction=0.0)
    files = data.files_of("train")
    assert files is not None
    assert (files.names[0], data.class_names[int(files.targets[0])]) == ("00_cat.png", "dog")
    assert "01_dog.png" not in files.names
    assert (
        data.listed.told("train", files.names)
        == "7 pictures labelled, 1 label changed, 1 picture left out by tlearn-labels.csv"
    )
    again = Decided(pool, [""] * 9)
    assert {row: each.decision for row, each in again.by_row.items()} == {0: "change", 1: "exclude"}
    decided.undo()
    assert {path: row.label for path, row in LabelList(photos).read().items()} == {
        p: r.label for p, r in before.items()
    }


def test_one_class_is_refused_with_what_to_do(tlearn: Tlearn) -> None:
    paths = write_flat(Path("photos"))
    _label(Path("photos"), [paths[0], paths[3]])
    answer = tlearn("fit", "photos", *QUICK)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "7 pictures in no class folders, and 1 class in its tlearn-labels.csv; need at least 2" in answer.err
    assert "tlearn label photos --next 50" in answer.err


def test_a_damaged_list_is_refused(tlearn: Tlearn) -> None:
    write_flat(Path("photos"))
    Path("photos", LABELS).write_text("path,old\n")
    answer = tlearn("doctor", "photos")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "tlearn-labels.csv, row 1: expected path,old,label,decision,time,doubt" in answer.err


@pytest.mark.slow
def test_probe_takes_it(tlearn: Tlearn) -> None:
    paths = write_flat(Path("photos"), 24)
    _label(Path("photos"), paths)
    answer = tlearn("probe", "photos", *QUICK)
    assert answer.code == 0, answer.err
    assert "best tap" in answer.out


def test_labelled_pictures_of_another_folder_train_too(tlearn: Tlearn) -> None:
    write_folder(Path("animals"), ("cat", "dog"))
    paths = write_flat(Path("photos"), 9)
    _label(Path("photos"), paths[:6])
    answer = tlearn("fit", "animals", "--data.also", "photos", *QUICK)
    assert answer.code == 0, answer.err
    assert "6 pictures of photos labelled by its tlearn-labels.csv" in answer.out + answer.err
    split = json.loads(Path("runs/animals/version_0/split.json").read_text())
    names = {*split["train_files"], *split["val_files"]}
    assert {name for name in names if name.startswith("..")} == {f"../photos/{path.name}" for path in paths[:6]}
    assert len(names) == 16 + 6
    assert "eel" in Path("runs/animals/version_0/card.md").read_text()  # the list has brought a class
    validated = tlearn("validate", "runs/animals/version_0")
    assert validated.code == 0, validated.err
    LabelList("animals").decide([Decision("../photos/00_cat.png", "cat", "dog", "change")])
    data = ImageFolderDataModule("animals", also=["photos"], size_px=16, val_fraction=0.0)
    files = data.files_of("train")
    assert files is not None
    assert data.class_names[int(files.targets[files.names.index("../photos/00_cat.png")])] == "dog"


def test_pictures_are_added_to_a_folder_behind_a_link(tmp_path: Path) -> None:
    write_folder(tmp_path / "far" / "away" / "animals", ("cat", "dog"))
    paths = write_flat(tmp_path / "photos", 6)
    _label(tmp_path / "photos", paths)
    (tmp_path / "animals").symlink_to("far/away/animals", target_is_directory=True)
    data = ImageFolderDataModule(str(tmp_path / "animals"), also=str(tmp_path / "photos"), size_px=16, val_fraction=0.0)
    files = data.files_of("train")
    assert files is not None
    assert sum((data.root / name).resolve() in {path.resolve() for path in paths} for name in files.names) == 6


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("nowhere", "data.init_args.also nowhere: no folder at "),
        ("animals", "data.init_args.also animals is data.init_args.root itself; drop it"),
        ("photos", "data.init_args.also photos: no picture has a label in "),
    ],
)
def test_what_cannot_be_added_is_said(word: str, said: str, tlearn: Tlearn) -> None:
    write_folder(Path("animals"), ("cat", "dog"))
    write_flat(Path("photos"), 3)
    answer = tlearn("fit", "animals", "--data.also", word, *QUICK)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert said in answer.err
