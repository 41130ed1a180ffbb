"""Decisions on labels that the list alone gives, and undo where others decide meanwhile."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import write_flat, write_folder
from tlearn.analysis.pool.labelled_pool import LabelledPool
from tlearn.data.files.reading import Framing
from tlearn.data.labels.label_list import Decision, LabelList
from tlearn.pages.review.decided import Decided

QUICK = ("--model.weights", "null", "--model.image_size", "32", "--trainer.accelerator", "cpu")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def label(folder: Path, paths: list[Path]) -> None:
    LabelList(folder).decide([Decision(path.name, "", path.stem[3:], "label") for path in paths])


def decided_on(root: Path, given: str = "cat") -> Decided:
    return Decided(
        LabelledPool(
            root=root,
            names=["a.png", "b.png"],
            labels=torch.zeros(2, dtype=torch.int64),
            class_names=["cat", "dog"],
            groups=None,
            group_names=[],
            features=torch.randn(2, 4),
            framing=Framing(16),
            is_validation=torch.zeros(2, dtype=torch.bool),
        ),
        [given, given],
    )


@pytest.mark.parametrize("has_class_folders", [False, True])
def test_what_was_decided_on_listed_labels_is_there_after_a_start(tlearn: Tlearn, has_class_folders: bool) -> None:
    photos = Path("photos")
    paths = write_flat(photos, 18)
    if has_class_folders:
        write_folder(photos, ("cat", "dog"))
    label(photos, paths)
    LabelList(photos).decide(
        [
            Decision("00_cat.png", "cat", "fox", "change"),
            Decision("01_dog.png", "dog", "dog", "keep"),
            Decision("02_eel.png", "eel", "", "exclude"),
            Decision("03_cat.png", "cat", "", "unsure"),
            Decision("04_dog.png", "", "", "exclude"),  # none of these: it has no label
        ]
    )
    answer = tlearn("review", "photos", *QUICK, "--out", "doubts.csv")
    assert answer.code == 0, answer.err
    with Path("doubts.csv").open(newline="") as file:
        rows = {row["path"]: (row["label"], row["decision"], row["new_label"]) for row in csv.DictReader(file)}
    assert len(rows) == 17 + 16 * has_class_folders
    assert [rows.get(path.name) for path in paths[:5]] == [
        ("cat", "change", "fox"),
        ("dog", "keep", "dog"),
        ("eel", "exclude", ""),
        ("cat", "unsure", ""),
        None,
    ]


def test_undo_after_a_start_leaves_the_label_that_the_list_gave(tmp_path: Path) -> None:
    label(tmp_path, [])
    LabelList(tmp_path).decide([Decision("a.png", "cat", "dog", "change"), Decision("b.png", "", "cat", "label")])
    assert decided_on(tmp_path, given="").undo() == [0]
    rows = LabelList(tmp_path).read()
    assert [(rows[name].old, rows[name].label, rows[name].decision) for name in ("a.png", "b.png")] == [
        ("", "cat", "label")
    ] * 2


def test_undo_takes_back_no_decision_of_somebody_else(tmp_path: Path) -> None:
    mine = decided_on(tmp_path)
    mine.decide([{"id": 0, "decision": "keep"}], [""])
    mine.decide([{"id": 1, "decision": "keep"}], [""])
    LabelList(tmp_path).decide([Decision("b.png", "cat", "dog", "change")])
    assert mine.undo() == [0]
    assert {path: row.decision for path, row in LabelList(tmp_path).read().items()} == {"b.png": "change"}


def test_an_undo_that_cannot_be_written_can_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = decided_on(tmp_path)
    mine.decide([{"id": 1, "decision": "keep"}], [""])
    mine.decide([{"id": 0, "decision": "keep"}], [""])
    with monkeypatch.context() as patch:
        patch.setattr("tlearn.data.labels.label_list.write_whole", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            mine.undo()
    assert mine.undo() == [0]
    assert list(LabelList(tmp_path).read()) == ["b.png"]
