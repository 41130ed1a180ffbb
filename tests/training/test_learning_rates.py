"""The learning rates that a run used are a curve of it, however short it is (N28)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Tlearn
from tests.helpers.runs import curve, events
from tests.helpers.watch import Watch

WATCH = ["--trainer.callbacks+=tests.helpers.watch.Watch"]
ONE_CYCLE = ["--model.lr_scheduler", "OneCycleLR", "--model.lr_scheduler.max_lr", "0.01"]


@pytest.mark.parametrize("every", ["10", "4", "1"])
def test_a_schedule_by_steps_has_a_value_an_epoch(every: str, tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    Watch.rates.clear()
    words = ["--trainer.max_epochs", "3", *ONE_CYCLE, "--model.lr_scheduler.total_steps", "9", *WATCH]
    answer = tlearn("fit", "-c", small, *words, "--trainer.log_every_n_steps", every)
    assert answer.code == 0, answer.err
    used = dict(enumerate(rates["rest"] for rates in Watch.rates))
    wanted = {"10": (0, 3, 6), "4": (0, 3, 6, 7), "1": range(9)}[every]
    assert curve(tmp_path, "lr-SGD/rest") == pytest.approx({step: used[step] for step in wanted})
    board = {point.step: point.value for point in events(tmp_path).Scalars("lr-SGD/rest")}
    assert board == pytest.approx({step: used[step] for step in wanted})


@pytest.mark.parametrize("words", [[], ["--model.lr_scheduler", "StepLR", "--model.lr_scheduler.step_size", "1"]])
def test_one_value_for_a_step(words: list[str], tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    more = ["--trainer.log_every_n_steps", "1", "--trainer.accumulate_grad_batches", "2"]  # two steps an epoch
    assert tlearn("fit", "-c", small, *words, *more).code == 0
    later = 0.001 if words else 0.01
    assert curve(tmp_path, "lr-SGD/rest") == pytest.approx({0: 0.01, 1: 0.01, 2: later, 3: later})
    assert [point.step for point in events(tmp_path).Scalars("lr-SGD/rest")] == [0, 1, 2, 3]


def test_the_rates_of_a_stage_that_warms_up_are_those_that_were_used(
    tlearn: Tlearn, small: str, tmp_path: Path
) -> None:
    Watch.rates.clear()
    words = ["--model.unfreeze", "{layer1: 1}", "--model.unfreeze_warmup_steps", "3", "--trainer.max_epochs", "3"]
    assert tlearn("fit", "-c", small, *words, *WATCH, "--trainer.log_every_n_steps", "1").code == 0
    for step, rate in curve(tmp_path, "lr-SGD/layer1").items():
        assert rate == pytest.approx(Watch.rates[step]["layer1"]), step


def test_a_monitor_of_the_users_is_the_only_writer(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    monitor = ["--trainer.callbacks+=LearningRateMonitor", "--trainer.callbacks.logging_interval=step"]
    assert tlearn("fit", "-c", small, *monitor, "--trainer.log_every_n_steps", "1").code == 0
    assert curve(tmp_path, "lr-SGD/rest") == pytest.approx(dict.fromkeys(range(6), 0.01))
    answer = tlearn("fit", "-c", small, *monitor, "--model.warmup_steps", "2")
    assert "LearningRateMonitor shows the rates without their warm-up" in answer.err


@pytest.mark.parametrize(
    ("words", "rate", "option"),
    [
        (["--model.optimizer.lr", "1e30"], "1e+30", "optimizer.lr"),
        (["--model.optimizer.lr", "4e30", "--model.warmup_steps", "3"], "1e+30", "optimizer.lr"),
        (
            ["--model.lr_scheduler", "OneCycleLR", "--model.lr_scheduler.max_lr", "25e30"],
            "1e+30",
            "lr_scheduler.max_lr",
        ),
        (
            [
                *["--model.lr_scheduler", "CyclicLR", "--model.lr_scheduler.base_lr", "1e30"],
                *["--model.lr_scheduler.max_lr", "1e31", "--model.lr_scheduler.step_size_up", "3"],
            ],
            "1e+30",
            "lr_scheduler.max_lr",
        ),
    ],
)
def test_the_rate_that_is_blamed_is_that_of_the_step_before(
    words: list[str], rate: str, option: str, tlearn: Tlearn, small: str
) -> None:
    total = ["--model.lr_scheduler.total_steps", "6"] if "OneCycleLR" in words else []
    answer = tlearn("fit", "-c", small, *words, *total)
    assert answer.code == 2
    wanted = f"the training loss is nan in epoch 1, step 2, learning rate {rate}; lower it (--model.{option})"
    assert wanted in answer.err, answer.err
