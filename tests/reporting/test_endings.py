"""How a run ended: the last lines of `fit`, the card and `--resume auto` say the same."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from tests.conftest import Tlearn
from tlearn import main
from tlearn.base.errors import TlearnError
from tlearn.training.callbacks.checkpoints import AtomicCheckpointIO

EARLY = ["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=val/loss"]
PATIENCE = [*EARLY, "--trainer.callbacks.patience=1", "--trainer.callbacks.verbose=true"]
ENOUGH = [*EARLY, "--trainer.callbacks.stopping_threshold=0.9"]
SECOND = ["--trainer.max_epochs", "9", "--trainer.check_val_every_n_epoch", "2"]


class StopAfter(Callback):
    """Set ``should_stop`` at the end of the second epoch."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch == 1


def card_of(run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(run, "card.json").read_text())
    return found


RULES = [
    ([], "max_epochs", 9, 27, None),
    (PATIENCE, "early_stopping", 6, 18, "EarlyStopping, val/loss did not get better in 1 check (patience)"),
    (ENOUGH, "early_stopping", 2, 6, "EarlyStopping, val/loss is below stopping_threshold 0.9"),
    (["--trainer.max_steps", "8"], "max_steps", 3, 8, "trainer.max_steps 8"),
    (["--trainer.callbacks+=tests.reporting.test_endings.StopAfter"], "callback", 2, 6, "a callback that set"),
]


@pytest.mark.parametrize(("words", "by", "epoch", "step", "said"), RULES)
def test_the_rule_that_ended_a_run_is_said(
    words: list[str],
    by: str,
    epoch: int,
    step: int,
    said: str | None,
    tlearn: Tlearn,
    small: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = tlearn("fit", "-c", small, "--trainer.max_epochs", "9", *words)
    assert answer.code == 0, answer.err
    card = card_of("runs/small/version_0")
    assert (card["status"], card["epochs"]) == ("finished", {"done": epoch, "planned": 9})
    assert {key: card["ended"][key] for key in ("by", "epoch", "step")} == {"by": by, "epoch": epoch, "step": step}
    best = torch.load("runs/small/version_0/checkpoints/best.ckpt", weights_only=True)
    rows = answer.result
    assert rows["best epoch"].startswith(f"{best['epoch'] + 1} of 9, by val/acc, on ")
    assert rows["accuracy"].startswith(f"{100 * card['best']['value']:.1f} %")
    assert rows["checkpoint"] == "runs/small/version_0/checkpoints/best.ckpt"
    assert card["best"]["epoch"] == best["epoch"] + 1
    page = Path("runs/small/version_0/card.md").read_text()
    if said is None:
        assert "ended" not in rows
        assert "Status: finished after 9 epochs." in page
    else:
        assert rows["ended"].startswith(f"in epoch {epoch}, after step {step}, by {said}")
        assert f"Status: finished after {epoch} of 9 epochs by {said.partition('_')[0]}" in page
    if words is PATIENCE:
        assert caplog.text.count("Metric val/loss improved") == 5
        assert "Monitored metric val/loss did not improve in the last 1 records." in caplog.text
    assert "version_0 is finished, a new run begins" in tlearn("fit", "-c", small, "--resume", "auto").err


def test_a_run_whose_time_was_up_goes_on(tlearn: Tlearn, small: str) -> None:
    words = ["fit", "-c", small, "--trainer.max_epochs", "3", "--resume", "auto"]
    limit = "--trainer.max_time=00:00:00:02"
    slow = ["--trainer.callbacks+=tests.reporting.test_endings.SleepInSecond"]
    answer = tlearn(*words, *slow, limit)
    assert answer.code == 0
    assert answer.result["ended"] == "in epoch 2, after step 6, by trainer.max_time 00:00:00:02"
    last = Path("runs/small/version_0/checkpoints/last.ckpt")
    assert answer.out.endswith(f"\nto go on: tlearn fit --ckpt_path {last}\n")
    assert card_of("runs/small/version_0")["status"] == "interrupted"
    answer = tlearn(*words, *slow, limit)  # the same command: its time begins anew
    assert answer.code == 0, answer.err
    assert f"resume auto: going on from {last}" in answer.err
    assert "epoch 3/3" in answer.out
    assert "epoch 2/3" not in answer.out
    card = card_of("runs/small/version_0")
    assert (card["status"], card["ended"]["by"], card["ended"]["step"]) == ("finished", "max_epochs", 9)


class SleepInSecond(Callback):
    """Be slow before the last step of the second epoch."""

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == 5:
            time.sleep(2)


@pytest.mark.fault("Killed between its last step and its card", "the end is written by the next `--resume auto`")
@pytest.mark.parametrize("words", [[], ["--trainer.max_steps", "4"]])
def test_a_run_killed_before_its_card_ends_when_it_is_gone_on_with(
    words: list[str], tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed = ["--model.head_init", "probe", "--model.wise_ft", "true"]  # what is mixed at the end is missing too
    words = ["fit", "-c", small, *mixed, *words, "--resume", "auto"]
    process = os.fork()
    if process == 0:
        die = partial(os.kill, os.getpid(), signal.SIGKILL)
        monkeypatch.setattr("tlearn.training.strategies.wise_ft.WiseFTCallback.on_train_end", lambda *_: die())
        os._exit(main(words))
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    run = Path("runs/small/version_0")
    if words[-3] != "4":  # without a card; the other has one, which comes before the mixture
        (run / "card.json").unlink()
    before = (run / "checkpoints/last.ckpt").read_bytes()
    answer = tlearn(*words)
    assert answer.code == 0, answer.err
    assert f"resume auto: going on from {run}/checkpoints/last.ckpt: all is trained, what a run writes" in answer.err
    assert "epoch 2/2" not in answer.out
    assert "wise_ft: share" in answer.out
    assert (run / "checkpoints/wise_ft.ckpt").is_file()
    assert (run / "checkpoints/last.ckpt").read_bytes() == before
    card, best = card_of(str(run)), torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    assert (card["status"], card["epochs"], card["best"]["epoch"]) == (
        "finished",
        {"done": 2, "planned": 2},
        best["epoch"] + 1,
    )
    assert "version_0 is finished, a new run begins" in tlearn(*words).err


def test_a_run_that_early_stopping_ended_is_known_by_its_checkpoint(tlearn: Tlearn, small: str) -> None:
    assert tlearn("fit", "-c", small, "--trainer.max_epochs", "7", *PATIENCE).code == 0
    Path("runs/small/version_0/card.json").unlink()
    answer = tlearn("fit", "-c", small, "--resume", "auto", "--trainer.max_epochs", "1")
    assert "resume auto: runs/small/version_0 is finished, a new run begins" in answer.err


def test_no_step_left_is_said(tlearn: Tlearn, small: str) -> None:
    assert tlearn("fit", "-c", small, "--trainer.max_epochs", "9", "--trainer.max_steps", "4").code == 0
    answer = tlearn("fit", "--ckpt_path", "runs/small/version_0")
    assert answer.code == 2
    assert "last.ckpt has 4 steps behind it, none is left: raise trainer.max_steps" in answer.err
    for limit in ("limit_train_batches", "max_epochs", "max_steps"):
        answer = tlearn("fit", "-c", small, f"--trainer.{limit}", "0")
        assert (
            "nothing was trained: trainer.max_epochs, max_steps, max_time or limit_train_batches leaves" in answer.err
        )


def test_an_epoch_without_validation_shows_none(tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, *SECOND, "--trainer.max_steps", "8")
    lines = re.findall(r"^epoch (\d)/9 (.*)", answer.out, re.MULTILINE)
    assert [(number, "val loss" in line) for number, line in lines] == [("1", False), ("2", True), ("3", False)]
    assert all(line.startswith(" train loss ") for _, line in lines)
    card = card_of("runs/small/version_0")
    assert [name for name in card["metrics"] if name.startswith("val/")] == []
    assert card["best"]["epoch"] == 2
    assert card["best"]["metrics"]["val/acc"] == card["best"]["value"]
    answer = tlearn("fit", "-c", small, *SECOND, "--trainer.max_epochs", "2")
    assert "val/acc" in card_of("runs/small/version_1")["metrics"]


@pytest.mark.usefixtures("replacements_wait")
def test_nothing_is_written_after_a_checkpoint_that_could_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    io, best, last = AtomicCheckpointIO(), tmp_path / "best.ckpt", tmp_path / "last.ckpt"
    for epoch in (1, 2):
        for path in (best, last):
            io.save_checkpoint({"epoch": epoch}, path)
    assert not io.lost

    def full(*_: Any) -> None:
        raise TlearnError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(TlearnError, match="disk full"):
            io.flush()
    io.teardown()
    assert io.lost
    assert [torch.load(path, weights_only=True)["epoch"] for path in (best, last)] == [1, 1]
