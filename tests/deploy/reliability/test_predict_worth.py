"""``predict`` and `tlearn.load` say what each answer is worth, by the same numbers."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import tlearn as package
from tests.conftest import Answer, Tlearn
from tests.deploy.reliability.kept import keep, wrong
from tests.helpers.fake_pictures import write_flat
from tlearn.models.reliability.evidence import FILE

ALL = ("--coverage", "0.9", "--min_accuracy", "0.9", "--unknown", "true", "--nearest", "2")


@pytest.fixture
def run(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that tells three colours apart, without what it kept; seven photographs, and one of noise."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run, tmp_path, dirs_exist_ok=True)
    run = Path("runs/folder/version_0")
    (run / FILE).unlink(missing_ok=True)
    write_flat(Path("photos"))
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save("photos/90_noise.png")
    return run


def predict(tlearn: Tlearn, run: Path, *words: str) -> Answer:
    return tlearn("predict", str(run), "photos", "--out", "p.csv", *words)


def rows_of() -> list[dict[str, str]]:
    with Path("p.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_row_says_what_its_answer_is_worth(tlearn: Tlearn, run: Path) -> None:
    keep(run)
    Path("photos/99.png").touch()
    answer = predict(tlearn, run, *ALL)
    assert answer.code == 0, answer.err
    *good, noise, unread = rows_of()
    first = ["path", "class", "probability", "class_2", "probability_2", "class_3", "probability_3"]
    near = [f"nearest_{n}{what}" for n in (1, 2) for what in ("", "_label", "_distance")]
    assert list(noise) == [*first, "set", "stranger", *near, "why_unknown", "surest_class", "error"]
    for row in good:
        name = Path(row["path"]).stem[3:]
        assert (row["set"], row["surest_class"], row["nearest_1_label"]) == (name, name, name)
        assert row["nearest_1"].startswith(f"{name}/2")
        assert float(row["nearest_1_distance"]) <= float(row["nearest_2_distance"]) < 0.01
        assert float(row["stranger"]) < 0.95
        assert row["class"] == ("unknown" if row["why_unknown"] else name)
    assert (noise["class"], noise["why_unknown"]) == ("unknown", "confidence;stranger")
    assert float(noise["stranger"]) == pytest.approx(60 / 61, abs=1e-6)
    assert float(noise["probability"]) > 0
    assert unread["error"] == "the file is empty"
    assert set(list(unread.values())[1:-1]) == {""}
    unknown = sum(row["class"] == "unknown" for row in rows_of())
    assert f"answers: {8 - unknown} of 8 pictures are answered, {unknown} unknown: " in answer.out
    promise = "hold the true class in 90 % of pictures like the training pictures (by 60 out-of-fold pictures)"
    assert f"sets: {promise}; 8 of 8 are a single class\n" in answer.out
    assert "strangers: 1 of 8 pictures look stranger than 95 % of 60 out-of-fold pictures; " in answer.out


def test_python_gives_the_numbers_of_the_command_line(tlearn: Tlearn, run: Path) -> None:
    keep(run)
    assert predict(tlearn, run, *ALL).code == 0
    rows = rows_of()
    options: dict[str, Any] = {"coverage": 0.9, "min_accuracy": 0.9, "unknown": True, "nearest": 2}
    answers = package.load(run).predict([row["path"] for row in rows], **options)
    for row, answer in zip(rows, answers, strict=True):
        assert answer.answer_set is not None
        assert ";".join(answer.answer_set) == row["set"]
        assert answer.stranger == pytest.approx(float(row["stranger"]), abs=1e-6)
        assert answer.is_stranger == ("stranger" in row["why_unknown"])
        assert answer.unknown == (row["class"] == "unknown")
        assert ";".join(answer.why_unknown) == row["why_unknown"]
        assert answer.class_name == row["surest_class"]
        for place, neighbour in enumerate(answer.nearest, 1):
            assert (neighbour.name, neighbour.label) == (row[f"nearest_{place}"], row[f"nearest_{place}_label"])
            assert neighbour.distance == pytest.approx(float(row[f"nearest_{place}_distance"]), abs=1e-6)
    shown = answers[-1]._repr_html_()
    assert "confidence, stranger" in shown
    assert "98.4 %" in shown
    table = package.predict(run, "photos", out="q.csv", **options)
    assert Path("q.csv").read_text() == Path("p.csv").read_text()
    assert table.columns["stranger"] is float
    (plain,) = package.load(run).predict([rows[0]["path"]])
    assert (plain.answer_set, plain.unknown, plain.nearest) == (None, False, [])
    assert plain.stranger == answers[0].stranger


def test_without_what_a_run_keeps_all_is_as_before(tlearn: Tlearn, run: Path) -> None:
    answer = predict(tlearn, run)
    assert answer.code == 0
    assert list(rows_of()[0])[-2:] == ["probability_3", "error"]
    assert "strangers" not in answer.out
    assert package.load(run).predict(["photos/00_cat.png"])[0].stranger is None
    Path("p.csv").write_text("kept")
    refused = predict(tlearn, run, "--coverage", "0.9", "--nearest", "1")
    assert refused.code == 2
    line = refused.err.strip().splitlines()[-1]
    assert re.match(
        r"error: coverage 0.9, nearest 1 needs what a fit writes into reliability.pt: there is no .*/version_0/reliab"
        r"ility.pt; fit again, and keep it beside the checkpoint",
        line,
    )
    assert Path("p.csv").read_text() == "kept"
    with pytest.raises(package.TlearnError, match="unknown true needs what a fit writes"):
        package.load(run).predict(["photos/00_cat.png"], unknown=True)


def test_what_belongs_to_other_weights_is_not_used(tlearn: Tlearn, run: Path) -> None:
    keep(run, network="another")
    assert predict(tlearn, run).code == 0
    assert "stranger" not in rows_of()[0]
    refused = predict(tlearn, run, "--unknown", "true")
    assert refused.code == 2
    assert "reliability.pt is not of " in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--coverage", "0"], "coverage: expected a share above 0 and below 1, such as 0.9; got 0"),
        (["--coverage", "1"], "coverage: expected a share above 0 and below 1, such as 0.9; got 1"),
        (["--coverage", "1.5"], "coverage: expected a share above 0 and below 1, such as 0.9; got 1.5"),
        (["--min_accuracy", "98"], "min_accuracy: expected a share above 0 and below 1, such as 0.9; got 98"),
        (["--coverage", "much"], "coverage on the command line: expected float or null, got much"),
        (
            ["--coverage", "0.9", "--coverage_by", "site"],
            "coverage_by on the command line: expected all, class, group, ",
        ),
        (["--coverage_by", "class"], "coverage_by class needs a coverage, such as 0.9"),
        (["--coverage_by", "group"], "coverage_by group needs a coverage or a min_accuracy, such as 0.9"),
        (["--nearest", "1000"], "nearest: expected a number of pictures from 0 to 100, got 1000"),
        (["--nearest", "-1"], "nearest on the command line: expected a value >=0, got -1"),
        (["--coverage", "0.9", "--coverage_by", "group"], "coverage_by group: the run's pictures are in no groups; "),
        (["--coverage", "0.99"], "coverage 0.99 needs at least 99 held-out pictures, found 60"),
        (
            ["--min_accuracy", "0.98"],
            "min_accuracy 0.98 cannot be promised by 60 held-out pictures; about 149 would do if answers stay as good",
        ),
    ],
)
def test_what_cannot_be_promised_is_said_first(tlearn: Tlearn, run: Path, words: list[str], message: str) -> None:
    keep(run)
    Path("p.csv").write_text("kept")
    answer = predict(tlearn, run, *words)
    assert answer.code == 2
    assert f"error: {message}" in " ".join(answer.err.split())
    assert Path("p.csv").read_text() == "kept"
    assert list(Path().glob(".p.csv*")) == []


def test_answers_that_are_never_sure_enough(tlearn: Tlearn, run: Path) -> None:
    kept = keep(run)
    keep(run, logits=wrong(kept.logits, slice(None)))
    answer = predict(tlearn, run, "--min_accuracy", "0.9")
    assert answer.code == 2
    assert "even the surest answers are wrong more often; ask for less, or train it better" in answer.err


def test_a_class_called_unknown_keeps_its_name(tlearn: Tlearn, run: Path) -> None:
    keep(run, class_names=["unknown", "dog", "eel"])
    answer = predict(tlearn, run, "--unknown", "true")
    assert answer.code == 0, answer.err
    assert rows_of()[-1]["class"] == "abstained"
    assert rows_of()[-1]["surest_class"] in ("cat", "dog", "eel")  # the network's own name
    assert ", 1 abstained: 1 stranger\n" in answer.out


def test_a_class_of_two_held_out_pictures_is_in_every_set(tlearn: Tlearn, run: Path) -> None:
    kept = keep(run)
    rows = torch.cat([torch.arange(22), torch.arange(40, 60)])
    keep(run, logits=kept.logits[rows], targets=kept.targets[rows], stranger_scores=kept.stranger_scores[rows])
    answer = predict(tlearn, run, "--coverage", "0.9", "--coverage_by", "class")
    assert answer.code == 0, answer.err
    assert all("dog" in row["set"].split(";") for row in rows_of())
    assert "whichever class that is (by 42 out-of-fold pictures); in every set, for too few were held out: dog; " in (
        answer.out
    )


def test_a_group_that_was_never_seen(tlearn: Tlearn, run: Path) -> None:
    keep(run, groups=torch.arange(60) % 12)
    answer = predict(tlearn, run, "--coverage", "0.9", "--coverage_by", "group")
    assert answer.code == 0, answer.err
    assert "in 90 % of pictures of a group that was never seen (by 12 groups, 60 out-of-fold pictures)" in answer.out
    answer = predict(tlearn, run, "--coverage", "0.9")
    assert "the run's pictures come from 12 groups; coverage_by group makes the promise for a group " in answer.out


def test_one_picture_and_an_empty_folder(tlearn: Tlearn, run: Path) -> None:
    keep(run)
    answer = tlearn("predict", str(run), "photos/00_cat.png", "--out", "p.csv", *ALL)
    assert answer.code == 0, answer.err
    assert "; 1 of 1 are a single class\n" in answer.out
    Path("empty").mkdir()
    answer = tlearn("predict", str(run), "empty", "--out", "p.csv", *ALL)
    assert answer.code == 2
    assert "no picture in" in answer.err


def test_parquet_has_the_same_cells(tlearn: Tlearn, run: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    keep(run)
    assert predict(tlearn, run, *ALL).code == 0
    assert tlearn("predict", str(run), "photos", "--out", "p.parquet", *ALL).code == 0
    table = parquet.read_table("p.parquet").to_pylist()
    for row, cells in zip(rows_of(), table, strict=True):
        assert {name: "" if cell is None else f"{cell:.6f}" if isinstance(cell, float) else cell
                for name, cell in cells.items()} == row  # fmt: skip
