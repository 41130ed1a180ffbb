"""A race that was stopped goes on: the finished is taken, the paused becomes the run that it would have been."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import Tlearn
from tests.helpers.dashboard_server import eventually
from tests.helpers.racing import RACE, TINY, few_members, record, weights_of
from tlearn.commands.race import race as module
from tlearn.commands.race.budget import Clock
from tlearn.commands.race.members import run_leg
from tlearn.training.callbacks.pausing import PauseCallback
from tlearn.training.callbacks.stopping import StopCallback
from tlearn.training.module import TransferModule


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


@pytest.mark.slow
def test_a_race_that_was_killed_goes_on_to_the_same_bits(tlearn: Tlearn, pictures: str) -> None:
    words = ("fit", pictures, *TINY, "--trainer.max_epochs", "4", "--budget", "40m")
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # as the tests have, for another number sums in another order
    command = [sys.executable, "-m", "tlearn", *words]
    process = subprocess.Popen(command, env=one_thread, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def there() -> None:
        assert (RACE / "scratch/version_0/checkpoints/last.ckpt").is_file()

    try:
        eventually(there)
    finally:
        process.kill()
        process.communicate()
    answer = tlearn(*words)
    assert answer.code == 0, answer.err
    assert "finished before" in answer.out
    assert tlearn(*words, "--trainer.default_root_dir", "whole").code == 0
    names = [member["name"] for member in record("whole/pictures/version_0")["members"]]
    assert names[2:] == ["scratch", "lp_ft_3e-4", "lp_ft_1e-4", "lp_ft_1e-3"]
    for name in names[2:]:
        file = f"{name}/version_0/checkpoints/last.ckpt"
        gone_on, whole = weights_of(RACE / file), weights_of(Path("whole/pictures/race", file))
        assert all(torch.equal(gone_on[key], whole[key]) for key in whole)


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


def test_auto_is_as_long_where_the_heads_were_solved_before(
    tlearn: Tlearn, pictures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_members(monkeypatch, "lp_ft_3e-4")
    words = ("fit", pictures, *TINY, "--trainer.max_epochs", "1", "--budget", "auto")
    monkeypatch.setattr(Clock, "elapsed_s", property(lambda clock: sum(member.seconds for member in solved)))
    solved: list[Any] = []

    def solve(track: Any, member: Any, *others: Any) -> Any:
        cli = run_leg(track, member, *others)
        member.seconds, member.epoch_s, member.start_s = 100.0, 7.0, 3.0
        member.write()
        solved.append(member)
        return cli

    monkeypatch.setattr(module, "run_leg", solve)
    assert tlearn(*words).code == 0
    budget_s = 3 * (200 + 3 + 3 * 7)  # without weights the longest run is from scratch: three times the epochs
    assert record()["budget_s"] == budget_s
    assert record()["spent_s"] == 300
    solved.clear()
    assert "finished before" in tlearn(*words).out
    again = record("runs/pictures/version_1")
    assert (again["budget_s"], again["spent_s"]) == (budget_s, 300)
