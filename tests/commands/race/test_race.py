"""`fit --budget`: the head first, then members that are paused and gone on with, and the best of it as a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import tlearn as public
from tests.conftest import Tlearn
from tests.helpers.dashboard_server import eventually
from tests.helpers.fake_pictures import write_folder
from tlearn.analysis.race.choice import Choice, Finisher
from tlearn.analysis.race.recipes import TUNED
from tlearn.base.errors import DivergedError, TlearnError
from tlearn.base.types import Task
from tlearn.commands.race import race as module
from tlearn.commands.race.budget import AUTO_FACTOR, Clock, seconds_of
from tlearn.commands.race.members import run_leg
from tlearn.models.weights.safe_load import read_checkpoint
from tlearn.training.callbacks.pausing import PauseCallback
from tlearn.training.callbacks.stopping import StopCallback
from tlearn.training.module import TransferModule

TINY = ("--model.backbone", "timm/test_efficientnet", "--model.weights", "null", "--model.image_size", "32")
RACE = Path("runs/pictures/race")


@pytest.fixture
def pictures(tmp_path: Path) -> str:
    write_folder(tmp_path / "pictures", count=10)
    return "pictures"


def record(folder: str = "runs/pictures/version_0") -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(folder, "race.json").read_text(encoding="utf-8"))
    return content


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = read_checkpoint(path)["state_dict"]
    return state


def few_members(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(module, "tuned_of", lambda stages: names)


def test_a_race_ends_with_an_ordinary_run(tlearn: Tlearn, pictures: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few_members(monkeypatch, "lp_ft_3e-4", "lp_ft_1e-4", "lp_ft_1e-3")
    answer = tlearn("fit", pictures, *TINY, "--trainer.max_epochs", "3", "--budget", "10m")
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert all(len(line) <= 80 or "runs/" in line for line in lines)
    assert [line for line in lines if line.startswith("floor: the ")]
    paused = [line for line in lines if " 2/3 epochs " in line and line.endswith("waits")]
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


def test_a_run_that_was_paused_is_the_run_that_it_would_have_been(
    tlearn: Tlearn, pictures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_members(monkeypatch, "lp_ft_3e-4")
    words = ("fit", pictures, *TINY, "--trainer.max_epochs", "4", "--budget", "10m")
    assert tlearn(*words).code == 0
    assert record()["members"][-1]["epochs"] == 4
    paused = weights_of(RACE / "lp_ft_3e-4/version_0/checkpoints/last.ckpt")
    monkeypatch.setattr(module, "rungs", lambda epochs: ())
    assert tlearn(*words, "--trainer.default_root_dir", "whole").code == 0
    whole = weights_of(Path("whole/pictures/race/lp_ft_3e-4/version_0/checkpoints/last.ckpt"))
    assert paused.keys() == whole.keys()
    assert all(torch.equal(paused[name], whole[name]) for name in whole)
    start = weights_of(RACE / "head/version_0/checkpoints/best.ckpt")
    assert any(not torch.equal(whole[name], start[name]) for name in whole if name.startswith("backbone"))


def test_what_is_finished_is_taken_and_what_is_paused_goes_on(
    tlearn: Tlearn, pictures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_members(monkeypatch, "lp_ft_3e-4")
    began: list[int] = []
    begin = TransferModule.on_train_start

    def note(network: TransferModule) -> None:
        began.append(network.current_epoch)
        begin(network)

    monkeypatch.setattr(TransferModule, "on_train_start", note)
    words = ("fit", pictures, *TINY, "--trainer.max_epochs", "3", "--budget", "10m")

    def stop(network: TransferModule) -> None:
        if network.current_epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TransferModule, "on_train_epoch_start", stop)
        answer = tlearn(*words)
    assert answer.code == 130
    assert "--budget 10m" in answer.out.splitlines()[-1]
    assert "to go on: " in answer.out
    assert began == [0, 0, 0, 2]
    assert not Path("runs/pictures/version_0").exists()
    answer = tlearn(*words)
    assert answer.code == 0, answer.err
    assert answer.out.count("finished before") == 2
    assert began[:5] == [0, 0, 0, 2, 2]
    assert record()["members"][-1]["outcome"] == "finished"
    again = tlearn(*words)
    assert again.out.count("finished before") == 3
    assert len(began) <= 7  # each result may be a network of its last epoch, made in an epoch without steps
    assert record("runs/pictures/version_1")["choice"]["name"] == record()["choice"]["name"]


def test_other_options_begin_the_members_anew(tlearn: Tlearn, pictures: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few_members(monkeypatch)
    assert tlearn("fit", pictures, *TINY, "--budget", "10m").code == 0
    assert "finished before" in tlearn("fit", pictures, *TINY, "--budget", "20m").out
    assert "finished before" not in tlearn("fit", pictures, *TINY, "--budget", "20m", "--seed_everything", "1").out


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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--budget", "soon"), "--budget: expected a time above 0, such as 90s, 10m or 2h, or auto, got 'soon'"),
        (("--budget", "0m"), "expected a time above 0"),
        (("--budget",), "--budget needs a time, such as 90s, 10m or 2h, or auto"),
        (("--budget", "1m", "--folds", "3"), "does not go with --folds"),
        (("--budget", "1m", "--sweep", "seed_everything=1,2"), "does not go with --sweep"),
        (("--budget", "1m", "--find_lr"), "does not go with --find_lr"),
        (("--budget", "1m", "--resume", "auto"), "does not go with --resume"),
        (("--budget", "1m", "--ckpt_path", "last"), "does not go with --ckpt_path"),
        (("--budget", "1m", "--model.optimizer", "SGD"), "the race chooses model.optimizer itself"),
        (("--budget", "1m", "--data.init_args.val_fraction", "0"), "there are none (data.init_args.val_fraction is 0)"),
        (("--budget", "1m", "--trainer.fast_dev_run", "true"), "trainer.fast_dev_run keeps no run"),
    ],
)
def test_what_does_not_go_with_a_race_is_refused_in_a_line(
    tlearn: Tlearn, pictures: str, words: tuple[str, ...], said: str
) -> None:
    answer = tlearn("fit", pictures, *TINY, *words)
    assert answer.code == 2
    assert said in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert not Path("runs").exists()


def test_one_class_is_refused(tlearn: Tlearn, tmp_path: Path) -> None:
    write_folder(tmp_path / "one", classes=("cat",))
    answer = tlearn("fit", "one", *TINY, "--budget", "1m")
    assert answer.code == 2
    assert "cat" in answer.err


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
    assert said[-2].endswith("(16 epochs at 3 times the network's measured pass, x 3):")
    assert said[-1].strip() == f"tlearn fit {pictures} {' '.join(TINY)} --budget auto"
    assert "train more" not in tlearn("fit", pictures, *TINY, "--model.head_solver", "ridge").out


@pytest.mark.slow
def test_a_race_that_was_killed_goes_on_to_the_same_bits(tlearn: Tlearn, pictures: str) -> None:
    words = ("fit", pictures, *TINY, "--trainer.max_epochs", "12", "--budget", "20m")
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # as the tests have, for another number sums in another order
    command = [sys.executable, "-m", "tlearn", *words]
    process = subprocess.Popen(command, env=one_thread, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def there() -> None:
        assert (RACE / "lp_ft_3e-4/version_0/checkpoints/last.ckpt").is_file()

    try:
        eventually(there)
    finally:
        process.kill()
        process.communicate()
    answer = tlearn(*words)
    assert answer.code == 0, answer.err
    assert "finished before" in answer.out
    assert tlearn(*words, "--trainer.default_root_dir", "whole").code == 0
    for name in TUNED:
        file = f"{name}/version_0/checkpoints/last.ckpt"
        gone_on, whole = weights_of(RACE / file), weights_of(Path("whole/pictures/race", file))
        assert all(torch.equal(gone_on[key], whole[key]) for key in whole)


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
    assert "a picture costs 2 passes" in answer.out
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


def test_a_signal_that_comes_while_a_run_is_paused_ends_the_race(
    tlearn: Tlearn, pictures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_members(monkeypatch, "lp_ft_3e-4", "lp_ft_1e-4")
    monkeypatch.setattr(StopCallback, "is_signalled", lambda _: bool(begun))
    begun: list[int] = []
    pause = PauseCallback.on_train_epoch_start

    def note(callback: PauseCallback, trainer: Any, network: Any) -> None:
        begun.extend([1] if len(callback.losses) == 2 else [])  # the pause of 3 epochs
        pause(callback, trainer, network)

    monkeypatch.setattr(PauseCallback, "on_train_epoch_start", note)
    answer = tlearn("fit", pictures, *TINY, "--trainer.max_epochs", "3", "--budget", "10m")
    assert answer.code == 130
    assert "to go on: tlearn fit pictures" in answer.out
    assert len(begun) == 1


def test_a_member_killed_behind_its_last_epoch_ends_in_the_next_command(
    tlearn: Tlearn, pictures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_members(monkeypatch, "lp_ft_3e-4", "lp_ft_1e-4")
    words = ("fit", pictures, *TINY, "--trainer.max_epochs", "2", "--budget", "10m")
    assert tlearn(*words).code == 0
    killed, kept = RACE / "lp_ft_3e-4", weights_of(RACE / "lp_ft_3e-4/version_0/checkpoints/last.ckpt")
    known = json.loads((killed / "member.json").read_text(encoding="utf-8"))
    (killed / "member.json").write_text(json.dumps({**known, "outcome": "under way"}), encoding="utf-8")
    (killed / "answers.npz").unlink()
    answer = tlearn(*words)
    assert answer.code == 0, answer.err
    found = {each["name"]: each for each in record("runs/pictures/version_1")["members"]}
    assert (found["lp_ft_3e-4"]["outcome"], found["lp_ft_3e-4"]["epochs"]) == ("finished", 2)
    again = weights_of(killed / "version_0/checkpoints/last.ckpt")
    assert all(torch.equal(kept[name], again[name]) for name in kept)


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
