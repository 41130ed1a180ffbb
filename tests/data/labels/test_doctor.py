"""``doctor`` where a list of labels lies beside the pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Answer, Tlearn
from tests.helpers.fake_pictures import CONFIG, write_splits
from tlearn.data.labels.label_list import LABELS, Decision, LabelList


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "folder.yaml").write_text(CONFIG)
    return write_splits(tmp_path / "pictures", train=10)


def decide(root: Path, *rows: tuple[str, str, str, str]) -> None:
    LabelList(root).decide([Decision(*row) for row in rows])  # type: ignore[arg-type]


def doctor(tlearn: Tlearn, *words: str) -> tuple[Answer, dict[str, dict[str, Any]], dict[str, Any]]:
    answer = tlearn("doctor", "--config", "folder.yaml", *words)
    content = json.loads(Path("doctor.json").read_text())
    return answer, {finding["kind"]: finding for finding in content["findings"]}, content


def test_it_counts_decisions_and_rows_that_do_not_count(tlearn: Tlearn, root: Path) -> None:
    (root / "notes").mkdir()
    (root / "notes/x.png").write_bytes((root / "train/cat/cat000.png").read_bytes())
    decide(
        root,
        *[(f"train/dog/dog{number:03d}.png", "dog", "cat", "change") for number in range(4)],
        ("train/eel/eel000.png", "eel", "", "exclude"),
        ("train/eel/eel001.png", "eel", "", "unsure"),
        ("test/eel/eel700.png", "eel", "", "keep"),
        ("val/eel/eel500.png", "dog", "cat", "change"),
        ("train/eel/gone.png", "eel", "cat", "change"),
        ("notes/x.png", "eel", "cat", "change"),
    )
    answer, findings, content = doctor(tlearn)
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[0].startswith("train: 29 pictures of 3 classes (cat 14, dog 6, eel 9); PNG")
    assert findings["label_list"]["what"] == f"10 decisions in {LABELS}: 4 changed, 1 left out, 1 kept, 1 unsure"
    assert (findings["label_list"]["severity"], findings["label_list_gone"]["severity"]) == ("note", "warning")
    assert findings["label_list_out_of_date"]["what"] == (
        f"1 row of {LABELS} is out of date, because the label by folder or table is another by now: "
        "val/eel/eel500.png has 'eel', the row says 'dog'; decide anew, or remove the row"
    )
    assert findings["label_list_out_of_date"]["files"] == [["val/eel/eel500.png"]]
    assert findings["label_list_gone"]["what"] == (
        f"1 row of {LABELS} names a file that is not there: train/eel/gone.png; put it back, or remove the row"
    )
    assert content["label_list"] == {
        "file": LABELS,
        "decisions": 10,
        "changed": 4,
        "labelled": 0,
        "left_out": 1,
        "kept": 1,
        "unsure": 1,
        "as_it_was": 0,
        "out_of_date": ["val/eel/eel500.png"],
        "gone": ["train/eel/gone.png"],
        "elsewhere": ["notes/x.png"],
    }
    assert f"10 decisions in {LABELS}" in answer.out


def test_contrary_copies_are_settled_by_a_decision(tlearn: Tlearn, root: Path) -> None:
    for number in range(3):  # each picture once more, under another label
        copy = (root / f"train/cat/cat00{number}.png").read_bytes()
        (root / f"train/dog/copy{number}.png").write_bytes(copy)
    _, findings, content = doctor(tlearn)
    assert len(findings["contrary_labels"]["files"]) == 3
    assert "label_list" not in content
    decide(
        root,
        ("train/dog/copy0.png", "dog", "cat", "change"),
        ("train/dog/copy1.png", "dog", "", "exclude"),
        ("train/dog/copy2.png", "dog", "dog", "keep"),
    )
    _, findings, _ = doctor(tlearn)
    assert findings["contrary_labels"]["files"] == [["train/cat/cat002.png", "train/dog/copy2.png"]]
    assert findings["duplicates"]["files"] == [["train/cat/cat000.png", "train/dog/copy0.png"]]
    decide(root, ("train/cat/cat002.png", "cat", "cat", "keep"))
    _, findings, _ = doctor(tlearn)
    assert "contrary_labels" not in findings
    assert findings["contrary_labels_decided"]["files"] == [["train/cat/cat002.png", "train/dog/copy2.png"]]
    assert findings["contrary_labels_decided"]["exclude"] == {}
