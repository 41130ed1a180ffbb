"""`fit --budget` where an image has several labels, or a number."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import picture
from tests.helpers.racing import TINY, few_members, record
from tlearn.analysis.race.paired import loss_and_score

NAMES = ("cat", "dog", "eel")


@pytest.fixture(autouse=True)
def _pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for number in range(30):
        picture(NAMES[number % 3], number).save(f"photos/{number:02d}.png")


def raced(tlearn: Tlearn, label: Callable[[int], Any], *words: str) -> tuple[str, dict[str, Any]]:
    """Race on a table of 20 pictures to train and 10 to choose by; return what was printed, and the record."""
    with Path("t.csv").open("w", newline="") as file:
        lines = [
            (f"photos/{number:02d}.png", label(number), "valid" if number % 3 == 0 else "train") for number in range(30)
        ]
        csv.writer(file).writerows([("path", "label", "split"), *lines])
    answer = tlearn("fit", "t.csv", *TINY, *words, "--trainer.max_epochs", "2", "--budget", "10m")
    assert answer.code == 0, answer.err
    assert all(len(line) <= 80 or "runs/" in line for line in answer.out.splitlines())
    found = record("runs/t/version_0")
    outcomes = {member["name"]: member["outcome"] for member in found["members"]}
    assert outcomes == dict.fromkeys(("last", "head", "lp_ft_3e-4", "lp_ft_1e-4"), "finished")
    return answer.out, found


def test_several_labels_an_image(tlearn: Tlearn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second picture has the label ``big``, and every second of these ``wet`` too."""
    few_members(monkeypatch, "lp_ft_3e-4", "lp_ft_1e-4")
    out, found = raced(
        tlearn, lambda n: "|".join(["big"] * (n % 2) + ["wet"] * (n % 4 == 3)), "--data.task", "multilabel"
    )
    (header,) = [line.split() for line in out.splitlines() if "val loss" in line and "seconds" in line]
    assert header[-2:] == ["map", "seconds"]
    assert all(0 <= each["val_score"] <= 1 for each in found["finishers"])


def test_a_number_for_an_image(tlearn: Tlearn, monkeypatch: pytest.MonkeyPatch) -> None:
    few_members(monkeypatch, "lp_ft_3e-4", "lp_ft_1e-4")
    out, found = raced(tlearn, lambda n: 100 + n, "--data.task", "regression")
    (header,) = [line.split() for line in out.splitlines() if "val loss" in line and "seconds" in line]
    assert header[-2:] == ["mae", "seconds"]
    assert all(each["val_score"] < 0 for each in found["finishers"])


def test_an_answer_that_names_nothing_is_not_a_good_one() -> None:
    labels = torch.zeros(20, 2)
    labels[:2, 0] = labels[3:5, 1] = 1
    nothing = loss_and_score("multilabel", torch.full((20, 2), -9.0), labels)[1]
    assert nothing == pytest.approx(0.1)  # 90 % of the labels are right
    assert loss_and_score("multilabel", 9 * labels - 4, labels)[1] == 1.0
