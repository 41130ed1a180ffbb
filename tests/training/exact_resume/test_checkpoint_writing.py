"""A checkpoint that replaces another may wait, but is never lost, never half, and never newer than the files say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer

from tests.conftest import Tlearn
from tests.helpers.runs import events, last
from tlearn.training.callbacks.checkpoints import AtomicCheckpointIO


class StopIn(Callback):
    """Press Ctrl-C in the middle of an epoch, counted from 0."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.current_epoch == self.epoch:
            raise KeyboardInterrupt


def on_disk(path: Path) -> float:
    return float(torch.load(path, weights_only=True)["weight"])


@pytest.mark.usefixtures("replacements_wait")
def test_a_replacement_waits_and_is_not_lost(tmp_path: Path) -> None:
    path, weight = tmp_path / "last.ckpt", torch.tensor(1.0)
    io = AtomicCheckpointIO()
    io.save_checkpoint({"weight": weight}, path)
    assert on_disk(path) == 1
    for value in (2.0, 3.0):
        weight.fill_(value)
        io.save_checkpoint({"weight": weight}, path)
    weight.fill_(9.0)  # training goes on: what waits is not touched
    assert on_disk(path) == 1
    assert io.load_checkpoint(path)["weight"] == 3
    assert on_disk(path) == 3
    io.save_checkpoint({"weight": weight}, path)
    io.teardown()
    assert on_disk(path) == 9
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.usefixtures("replacements_wait")
def test_what_waits_is_written_before_what_came_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    best, newest = tmp_path / "best.ckpt", tmp_path / "last.ckpt"
    io = AtomicCheckpointIO()
    for value in (1.0, 2.0):
        io.save_checkpoint({"weight": torch.tensor(value)}, best)
        io.save_checkpoint({"weight": torch.tensor(value)}, newest)
    assert (on_disk(best), on_disk(newest)) == (1, 1)
    order = []
    replace = Path.replace

    def noted(file: Path, to: Path) -> Path:
        order.append(to.name)
        return replace(file, to)

    monkeypatch.setattr(Path, "replace", noted)
    io.flush()
    assert order == ["best.ckpt", "last.ckpt"]
    assert (on_disk(best), on_disk(newest)) == (2, 2)


def test_a_long_epoch_writes_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = iter([0.0, 1.0, 50.0, 52.0, 52.0, 53.0])  # at a writing's start and end, before it where a file is there
    monkeypatch.setattr("tlearn.training.callbacks.checkpoints.monotonic", lambda: next(now_s))
    path, io = tmp_path / "last.ckpt", AtomicCheckpointIO()
    for value, written in ((1.0, 1.0), (2.0, 1.0), (3.0, 3.0)):
        io.save_checkpoint({"weight": torch.tensor(value)}, path)  # writing takes 1 s: 49 s later too early, 51 s not
        assert on_disk(path) == written


def test_best_does_not_make_last_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("tlearn.training.callbacks.checkpoints.monotonic", lambda: clock[0])
    io = AtomicCheckpointIO()
    for epoch in range(1, 4):
        clock[0] = 600.0 * epoch
        for name in ("best", "last"):
            io.save_checkpoint({"weight": torch.tensor(float(epoch))}, tmp_path / f"{name}.ckpt")
        assert (on_disk(tmp_path / "best.ckpt"), on_disk(tmp_path / "last.ckpt")) == (epoch, epoch)


def test_an_interrupted_run_keeps_its_last_whole_epoch(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    stop = [f"--trainer.callbacks+={__name__}.StopIn", "--trainer.callbacks.epoch", "6"]
    answer = tlearn("fit", "-c", small, "--model.freeze_backbone", "true", "--trainer.max_epochs", "9", *stop)
    assert answer.code == 130
    assert last(tmp_path)["epoch"] == 5
    best = max(events(tmp_path).Scalars("val/acc"), key=lambda point: point.value)
    (score,) = (s["best_model_score"] for k, s in last(tmp_path)["callbacks"].items() if "BestCheckpoint" in k)
    assert float(score) == best.value
    assert last(tmp_path, name="best")["epoch"] == [p.value for p in events(tmp_path).Scalars("val/acc")].index(
        best.value
    )
