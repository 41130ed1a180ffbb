"""The verb ``review``: from a folder, a table, a config or a run to a table of doubts, and what it refuses."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

import tlearn as tl
from tests.conftest import Tlearn
from tests.helpers.fake_pictures import CONFIG, picture, write_folder, write_splits, write_table
from tlearn.analysis.doubt import answers
from tlearn.training.strategies.head_solver import Turned, turn

FROZEN = ("--model.freeze_backbone", "true", "--model.head_solver", "lbfgs", "--trainer.max_epochs", "1")
COLUMNS = ["path", "label", "proposal", "probability", "doubt", "group", "decision", "new_label"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_splits(Path("pictures"))
    picture("dog", 3000).save("pictures/train/cat/wrong.png")
    Path("small.yaml").write_text(CONFIG)


def doubts(tlearn: Tlearn, *words: str) -> list[dict[str, str]]:
    answer = tlearn("review", *words, "--out", "doubts.csv")
    assert answer.code == 0, answer.err
    assert "every picture: doubts.csv" in answer.out
    with Path("doubts.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_of_doubts_names_the_wrong_label_first(tlearn: Tlearn) -> None:
    first, *others = doubts(tlearn, "--config", "small.yaml")
    assert list(first)[: len(COLUMNS)] == COLUMNS
    assert (first["path"], first["label"], first["proposal"]) == ("train/cat/wrong.png", "cat", "dog")
    assert first["neighbour_1_label"] == first["neighbour_3_label"] == "dog"
    assert len(others) == 3 * (8 + 4)  # no picture to test on
    assert {each["path"].split("/")[0] for each in others} == {"train", "val"}
    assert [float(each["doubt"]) for each in others] == sorted((float(each["doubt"]) for each in others), reverse=True)
    assert not Path("runs").exists()


def test_a_run_with_a_frozen_backbone_lends_its_network_and_its_features(tlearn: Tlearn) -> None:
    assert tlearn("fit", "--config", "small.yaml", *FROZEN).code == 0
    kept = sorted(Path(".cache/tlearn").glob("*.npy"))
    by_config = doubts(tlearn, "--config", "small.yaml")
    assert doubts(tlearn, "runs/small") == by_config
    assert sorted(Path(".cache/tlearn").glob("*.npy")) == kept
    assert [path.name for path in Path("runs").iterdir()] == ["small"]


def test_features_that_are_not_kept_are_not_kept_turned(tlearn: Tlearn, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = list[int]()

    def noted(features: torch.Tensor) -> Turned:
        kept.append(len(features))
        return turn(features, torch.ones(len(features)))

    monkeypatch.setattr(answers, "stored_turn", noted)
    by_default = doubts(tlearn, "--config", "small.yaml")
    assert kept == [37]
    assert doubts(tlearn, "--config", "small.yaml", "--model.feature_cache", "off") == by_default
    assert kept == [37]


def test_a_run_that_tuned_its_backbone_is_reviewed_by_what_it_began_with(tlearn: Tlearn) -> None:
    assert tlearn("fit", "--config", "small.yaml", "--trainer.max_epochs", "1").code == 0
    answer = tlearn("review", "runs/small", "--out", "doubts.csv")
    assert "fine-tuned its network, which may have learned wrong labels by heart" in answer.err
    with Path("doubts.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == doubts(tlearn, "--config", "small.yaml")


def test_a_folder_and_a_table_as_targets(tlearn: Tlearn) -> None:
    options = ("--model.weights", "null", "--model.image_size", "32", "--trainer.accelerator", "cpu")
    assert len(doubts(tlearn, str(write_folder(Path("flat"))), *options)) == 24
    assert len(doubts(tlearn, str(write_table(Path())), *options)) == 24


def test_nothing_need_validate(tlearn: Tlearn) -> None:
    options = ("--model.weights", "null", "--model.image_size", "32", "--data.val_fraction", "0")
    assert len(doubts(tlearn, str(write_folder(Path("flat"))), *options)) == 24


def test_decisions_are_in_the_table(tlearn: Tlearn) -> None:
    rows = ["path,old,label,decision,time,doubt"]
    rows += ["train/cat/wrong.png,cat,dog,change,,", "train/cat/cat000.png,cat,,exclude,,"]
    Path("pictures/tlearn-labels.csv").write_text("\n".join(rows))
    found = {each["path"]: each for each in doubts(tlearn, "--config", "small.yaml")}
    changed, left_out = found["train/cat/wrong.png"], found["train/cat/cat000.png"]
    assert (changed["label"], changed["decision"], changed["new_label"]) == ("cat", "change", "dog")
    assert float(changed["doubt"]) < 0.5
    assert (left_out["label"], left_out["decision"], left_out["doubt"]) == ("cat", "exclude", "")


def test_files_move_when_somebody_says_yes_and_go_back(tlearn: Tlearn) -> None:
    before = sorted(Path("pictures").rglob("*.png"))
    rows = ["path,old,label,decision,time,doubt", "train/cat/wrong.png,cat,dog,change,,"]
    Path("pictures/tlearn-labels.csv").write_text("\n".join(rows))
    words = ("review", "--config", "small.yaml", "--apply")
    dry = tlearn(*words, "MOVE")
    assert "train/cat/wrong.png -> train/dog/wrong.png" in dry.out
    assert "1 file would move" in dry.out
    assert sorted(Path("pictures").rglob("*.png")) == before
    assert "1 file moved in" in tlearn(*words, "MOVE", "--yes").out
    assert Path("pictures/train/dog/wrong.png").is_file()
    assert doubts(tlearn, "--config", "small.yaml")[0]["path"] != "train/dog/wrong.png"
    assert "nothing is moved yet" in tlearn(*words, "UNDO").out
    assert "1 file moved back" in tlearn(*words, "UNDO", "--yes").out
    assert sorted(Path("pictures").rglob("*.png")) == before
    again = tlearn(*words, "UNDO", "--yes")
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert "nothing to undo" in again.err


def test_the_same_from_python() -> None:
    found = tl.review("small.yaml", {"trainer.accelerator": "cpu"}, out="doubts.csv")
    assert (found[0].path, found[0].proposal) == ("train/cat/wrong.png", "dog")
    assert found.worth_looking == 1
    assert "train/cat/wrong.png" in found._repr_html_()
    assert Path("doubts.csv").read_text().count("\n") == len(found) + 1 == 38


def test_other_labels_and_data_are_refused_in_one_line(tlearn: Tlearn) -> None:
    Path("values.csv").write_text("path,value\npictures/train/cat/cat000.png,1\npictures/train/dog/dog000.png,2\n")
    for words, said in [
        (
            ("values.csv", "--data.task", "regression", "--data.label_column", "value", "--data.val_fraction", "0"),
            "review is for pictures of one class each, these have values; doctor looks at them",
        ),
        (("--config", "quickstart.yaml"), "review looks at picture files; DigitsDataModule has none of its own"),
        (("pictures", "--host", "0.0.0.0"), "--host 0.0.0.0 lets other machines in, so every request needs a token"),
        (("pictures", "--yes"), "--yes belongs to --apply MOVE and --apply UNDO; drop it"),
        (("pictures", "--apply", "COPY"), "--apply 'COPY'"),
        (("nowhere",), "no folder of pictures, table or config at"),
    ]:
        answer = tlearn("review", *words, "--model.weights", "null", "--out", "doubts.csv")
        assert answer.code == 2
        assert said in answer.err
    assert not Path("doubts.csv").exists()
