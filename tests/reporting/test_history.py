"""A run that was killed, stopped or prolonged has one value for a tag and step, and those of a run left alone."""

from __future__ import annotations

import csv
import os
import signal
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

from tests.conftest import Tlearn
from tlearn import main
from tlearn.base.types import Batch
from tlearn.training.module import TransferModule

# Three steps an epoch, each with points of its own.
OFTEN = ["--trainer.log_every_n_steps", "1", "--trainer.num_sanity_val_steps", "0"]
TIMES = ("train/images_per_s",)


def contents(run: Path) -> dict[tuple[str, int], list[bytes]]:
    """What TensorBoard's files hold at each tag and step; Lightning writes `epoch` with every row."""
    found = defaultdict(list)
    for path in sorted(run.glob("events.out.tfevents.*")):
        for event in LegacyEventFileLoader(str(path)).Load():
            for value in event.summary.value:
                found[value.tag, event.step].append(value.SerializeToString())
    return {key: sorted(set(values)) if key[0] == "epoch" else values for key, values in found.items()}


def rows(run: Path) -> dict[tuple[str, int], list[str]]:
    """What `metrics.csv` holds at each column and step."""
    found = defaultdict(list)
    with (run / "metrics.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                if value and name not in ("step", "epoch", *TIMES):
                    found[name, int(row["step"])].append(value)
    return found


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    """The curves as TensorBoard reads them; files of one second it may read in another order."""
    log = EventAccumulator(str(run))
    log.Reload()
    names = [name for name in log.Tags()["scalars"] if name not in ("epoch", *TIMES)]
    return {name: sorted((point.step, point.value) for point in log.Scalars(name)) for name in names}


def stepping(act: Callable[[], Any], at: int) -> Callable[..., torch.Tensor]:
    """Do something inside the step of this number, counted from 0."""
    step = TransferModule.training_step

    def training_step(self: TransferModule, batch: Batch, batch_idx: int) -> torch.Tensor:
        if self.global_step == at:
            act()
        return step(self, batch, batch_idx)

    return training_step


def killed(words: list[str], at: int, patch: pytest.MonkeyPatch) -> None:
    """Run it in a process that is killed inside a step."""
    process = os.fork()
    if process == 0:
        patch.setattr(TransferModule, "training_step", stepping(lambda: os.kill(os.getpid(), signal.SIGKILL), at))
        os._exit(main(words))
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL


def stopped(words: list[str], at: int, patch: pytest.MonkeyPatch) -> None:
    """Run it until a Ctrl-C comes inside a step."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs behind it ignores Ctrl-C
    try:
        with patch.context() as patched:
            patched.setattr(TransferModule, "training_step", stepping(lambda: signal.raise_signal(signal.SIGINT), at))
            assert main(words) == 130
    finally:
        signal.signal(signal.SIGINT, before)


def ended(words: list[str], at: int, patch: pytest.MonkeyPatch) -> None:
    """Run it to the end of an earlier epoch."""
    assert main([*words, "--trainer.max_epochs", str(at // 3)]) == 0


@pytest.mark.fault("Killed, stopped or prolonged, and gone on with", "one value for a tag and step, in every file")
@pytest.mark.parametrize(
    ("interrupt", "at"),
    [(killed, 4), pytest.param(killed, 8, marks=pytest.mark.pictures), (stopped, 4), (ended, 6)],
)
def test_one_value_for_a_tag_and_step(
    interrupt: Callable[[list[str], int, pytest.MonkeyPatch], None],
    at: int,
    tlearn: Tlearn,
    small: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ["fit", "-c", small, *OFTEN]
    assert tlearn(*words, "--trainer.max_epochs", "4", "--trainer.default_root_dir", "whole").code == 0
    interrupt(words if interrupt is ended else [*words, "--trainer.max_epochs", "4"], at, monkeypatch)
    answer = tlearn(*words, "--trainer.max_epochs", "4", "--ckpt_path", "last")
    assert answer.code == 0, answer.err
    whole, run = tmp_path / "whole/small/version_0", tmp_path / "runs/small/version_0"
    assert {key: len(values) for key, values in contents(run).items() if len(values) > 1} == {}
    assert {key: values for key, values in rows(run).items() if len(values) > 1} == {}
    assert rows(run) == rows(whole)
    assert scalars(run) == scalars(whole)


def test_rates_are_logged_once_a_step(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    halves = ["--trainer.accumulate_grad_batches", "2"]  # two batches begin at each step
    assert tlearn("fit", "-c", small, *OFTEN, *halves).code == 0
    (curve,) = [points for name, points in scalars(tmp_path / "runs/small/version_0").items() if name[:3] == "lr-"]
    assert [step for step, _ in curve] == [0, 1, 2, 3]
