"""`fit --budget`: the head first, then members that are paused and gone on with, and the best of it as a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

import tlearn as public
from tests.conftest import Tlearn
from tests.helpers.racing import RACE, TINY, few_members, record, weights_of
from tlearn.analysis.race import scratch
from tlearn.analysis.race.choice import Choice, Finisher
from tlearn.analysis.race.recipes import TUNED
from tlearn.base.errors import DivergedError, TlearnError
from tlearn.base.types import Task
from tlearn.commands.race import race as module
from tlearn.commands.race.budget import AUTO_FACTOR, Clock, seconds_of
from tlearn.commands.race.members import run_leg
from tlearn.training.callbacks.pausing import PauseCallback


def test_a_race_ends_with_an_ordinary_run(tlearn: Tlearn, pictures: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few_members(monkeypatch, "lp_ft_3e-4", "lp_ft_1e-4", "lp_ft_1e-3")
    answer = tlearn("fit", pictures, *TINY, "--trainer.max_epochs", "3", "--budget", "10m")
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert all(len(line) <= 80 or "runs/" in line for line in lines)
    assert [line for line in lines if line.startswith("floor: the ")]
    assert "3 validation images choose badly: with fewer than 20, the result was" in " ".join(answer.out.split())
    assert "; lp_ft_R trains the whole network at the learning rate R" in " ".join(answer.out.split())
    paused = [line for line in lines if " 2/3 epochs " in line and line.endswith("paused")]
    assert len(paused) == 3
    found = record()
    outcomes = {member["name"]: (member["epochs"], member["outcome"]) for member in found["members"]}
    assert outcomes["last"] == outcomes["head"] == (1, "finished")
    tuned = [outcomes[name] for name in ("lp_ft_3e-4", "lp_ft_1e-4", "lp_ft_1e-3")]
    assert sorted(tuned) == [(2, "paused"), (3, "finished"), (3, "finished")]
    at_rung = {m["name"]: m["val_losses"][1] for m in found["members"] if m["name"] in TUNED}
    (left,) = (name for name in at_rung if outcomes[name][1] == "paused")
    assert at_rung[left] == max(at_rung.values())
    assert found["choice"]["reason"] in " ".join(answer.out.split())
    card = json.loads(Path("runs/pictures/version_0/card.json").read_text())
    assert (card["name"], card["version"], card["folder"]) == ("pictures", 0, "runs/pictures/version_0")
    assert card["command"].endswith("--budget 10m")
    report = Path("runs/pictures/version_0/report.html").read_text(encoding="utf-8")
    assert '<section id="race">' in report
    assert all(name in report for name in at_rung)
    assert tlearn("predict", "runs/pictures", "pictures/cat", "--out", "answers.csv").code == 0


def test_a_member_that_diverges_is_left_out(tlearn: Tlearn, pictures: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few_members(monkeypatch, "lp_ft_3e-4", "lp_ft_1e-4")
    save = PauseCallback.on_train_epoch_end

    def diverge(callback: PauseCallback, trainer: Any, network: Any) -> None:
        if trainer.optimizers[0].defaults["lr"] == 3e-4:
            raise DivergedError("the training loss is nan")
        save(callback, trainer, network)

    monkeypatch.setattr(PauseCallback, "on_train_epoch_end", diverge)
    answer = tlearn("fit", pictures, *TINY, "--trainer.max_epochs", "2", "--budget", "10m")
    assert answer.code == 0, answer.err
    assert "lp_ft_3e-4 is left out: the training loss is nan" in answer.out
    outcomes = {member["name"]: member["outcome"] for member in record()["members"]}
    assert outcomes["lp_ft_3e-4"] == "left out"
    assert outcomes["lp_ft_1e-4"] == "finished"


def test_a_budget_too_short_for_training_ends_with_the_head(tlearn: Tlearn, pictures: str) -> None:
    answer = tlearn("fit", pictures, *TINY, "--budget", "1s")
    assert answer.code == 0, answer.err
    assert "no network could be trained to its end" in answer.out
    assert record()["choice"]["members"][0] in ("last", "head")
    assert Path("runs/pictures/version_0/checkpoints/best.ckpt").is_file()


def test_epochs_of_a_config_hold_as_typed_ones_do(
    tlearn: Tlearn, pictures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_members(monkeypatch, "lp_ft_3e-4")
    Path("own.yaml").write_text(
        "trainer: {max_epochs: 1}\nmodel: {optimizer: {class_path: SGD, init_args: {lr: 0.1}}}\n"
    )
    answer = tlearn("fit", pictures, "--config", "own.yaml", *TINY, "--budget", "10m")
    assert answer.code == 0, answer.err
    assert record()["members"][-1]["planned"] == 1
    assert "networks train, 1 epoch each, as trainer.max_epochs says" in " ".join(answer.out.split())
    assert "the race sets model.optimizer itself" in answer.out
    Path("own.yaml").write_text("trainer: {max_epochs: -1}\n")
    refused = tlearn("fit", pictures, "--config", "own.yaml", *TINY, "--budget", "10m")
    assert "--trainer.max_epochs: a race needs a whole number from 1 on, got '-1'" in refused.err


def test_where_random_features_are_as_good_a_network_is_trained_from_scratch_too(
    tlearn: Tlearn, pictures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[bool, bool]] = []

    def from_scratch(stages: Any, *starts: bool) -> tuple[str, ...]:
        asked.append((starts[0], starts[1]))
        return ("scratch",)

    monkeypatch.setattr(module, "tuned_of", from_scratch)
    monkeypatch.setattr(scratch, "NEAR", 1000.0)
    torch.manual_seed(1)
    torch.save(timm.create_model("test_efficientnet", num_classes=0).state_dict(), "known.pth")
    words = ("fit", pictures, *TINY, "--model.weights", "known.pth", "--trainer.max_epochs", "1", "--budget")
    answer = tlearn(*words, "auto")
    assert answer.code == 0, answer.err
    assert asked == [(True, True)]
    found = record()
    assert [member["name"] for member in found["members"]] == ["last", "head", "random_head", "scratch"]
    assert (found["members"][3]["planned"], found["members"][3]["options"]["weights"]) == (3, None)
    said = found["from_scratch"]
    assert said in " ".join(answer.out.split())
    assert said.endswith("which is near: a network is trained from scratch too.")
    assert said in Path("runs/pictures/version_0/report.html").read_text(encoding="utf-8")
    known, drawn = (weights_of(RACE / name / "version_0/checkpoints/last.ckpt") for name in ("head", "random_head"))
    first = next(name for name in known if name.startswith("backbone") and known[name].dim() == 4)
    assert not torch.equal(known[first], drawn[first])
    assert tlearn(*words, "1s").code == 0  # there the time would not suffice, so nobody asks
    assert asked[1:] == [(True, False)]


def test_without_weights_training_from_scratch_comes_first(tlearn: Tlearn, pictures: str) -> None:
    answer = tlearn("fit", pictures, *TINY, "--trainer.max_epochs", "1", "--budget", "1s")
    assert "training from scratch comes first" in " ".join(answer.out.split())
    names = [member["name"] for member in record()["members"]]
    assert names == ["last", "head", "scratch", "lp_ft_3e-4", "lp_ft_1e-4", "lp_ft_1e-3"]


def test_python_gets_the_run(tmp_path: Path, pictures: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    few_members(monkeypatch)
    options = {"model.backbone": "timm/test_efficientnet", "model.weights": None, "model.image_size": 32}
    run = public.fit(pictures, options, budget="10m")
    assert run.folder == Path("runs/pictures/version_0")
    assert run.checkpoint == Path("runs/pictures/version_0/checkpoints/best.ckpt")
    assert run.status == "finished"
    assert 0 <= run.metrics["val/acc"] <= 1
    assert len(run.predictor.class_names) == 3
    with pytest.raises(TlearnError, match="does not go with --folds"):
        public.fit(pictures, options, budget="10m", folds=2)  # type: ignore[call-overload]  # what is tested


def test_a_budget_is_read_as_it_is_written() -> None:
    assert [seconds_of(text) for text in ("90s", "10m", "10 min", "1.5h", "auto")] == [90, 600, 600, 5400, None]


def test_auto_follows_from_what_a_run_takes() -> None:
    clock = Clock(None)
    assert clock.left_s == float("inf")
    clock.settle(100.0)
    assert clock.left_s == pytest.approx(AUTO_FACTOR * 100, abs=1)
    clock.reserve_s, clock.spent_s = 30.0, 50.0
    assert clock.left_s == pytest.approx(AUTO_FACTOR * 100 - 80, abs=1)


def test_a_solved_head_says_what_training_more_would_cost(tlearn: Tlearn, pictures: str) -> None:
    said = tlearn("fit", pictures, *TINY).out.splitlines()
    assert said[-2].startswith("train more: about ")
    assert said[-2].endswith("(48 epochs at 3 times the network's measured pass, x 3):")
    assert said[-1].strip() == f"tlearn fit {pictures} {' '.join(TINY)} --budget auto"
    assert "train more" not in tlearn("fit", pictures, *TINY, "--model.head_solver", "ridge").out


def test_an_average_is_a_run_that_gives_the_mean_of_its_members(
    tlearn: Tlearn, pictures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_members(monkeypatch, "lp_ft_3e-4")

    def choose_average(task: Task, finishers: list[Finisher], targets: torch.Tensor) -> Choice:
        (average,) = (each for each in finishers if len(each.members) > 1)
        assert average.members == ("head", "lp_ft_3e-4")
        return Choice(average, "it was asked for.", [], [])

    monkeypatch.setattr(module, "choose", choose_average)
    answer = tlearn("fit", pictures, *TINY, "--trainer.max_epochs", "2", "--budget", "10m")
    assert answer.code == 0, answer.err
    assert "result: all-stage head + lp_ft_3e-4" in answer.out
    assert "predicting takes 2 times one network's time" in " ".join(answer.out.split())
    assert answer.out.splitlines()[-1].startswith("next: tlearn predict runs/pictures/version_0 ")
    assert answer.out.count("next:") == 1
    card = json.loads(Path("runs/pictures/version_0/card.json").read_text())
    assert card["command"].endswith("--budget 10m")
    loss = next(each["val_loss"] for each in record()["finishers"] if len(each["members"]) > 1)
    assert card["best"]["metrics"]["val/loss"] == pytest.approx(loss, abs=2e-3)
    assert '<section id="race">' in Path("runs/pictures/version_0/report.html").read_text(encoding="utf-8")
    single, both = public.load("runs/pictures/race/head/version_0"), public.load("runs/pictures/version_0")
    assert both.class_names == single.class_names
    assert tlearn("predict", "runs/pictures", "pictures/cat", "--out", "answers.csv").code == 0


def test_a_member_that_stops_early_is_not_trained_again(
    tlearn: Tlearn, pictures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_members(monkeypatch, "lp_ft_3e-4")
    stop = ("--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=val/loss")
    early = (*stop, "--trainer.callbacks.patience=1", "--trainer.callbacks.min_delta=10")
    legs: list[str] = []

    def note(track: Any, member: Any, *others: Any) -> Any:
        legs.append(member.name)
        assert len(legs) <= 3, "it is trained again and again"
        return run_leg(track, member, *others)

    monkeypatch.setattr(module, "run_leg", note)
    answer = tlearn("fit", pictures, *TINY, "--trainer.max_epochs", "6", *early, "--budget", "10m")
    assert answer.code == 0, answer.err
    assert legs == ["last", "head", "lp_ft_3e-4"]
    found = record()["members"][-1]
    assert (found["outcome"], found["epochs"], found["planned"]) == ("finished", 2, 6)
