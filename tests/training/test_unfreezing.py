"""An unfreeze schedule opens what it says when it says so, with any scheduler, and resumes exactly (C06, C08)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import Tlearn
from tests.helpers.runs import SCHEDULERS, last
from tests.helpers.watch import SCHEDULE, WATCH, Watch


def test_stages_open_when_they_should(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    Watch.seen.clear()
    assert tlearn("fit", "-c", small, *SCHEDULE, *WATCH, "--trainer.max_epochs", "3").code == 0
    of = {entry["epoch"]: entry for entry in Watch.seen}
    assert [of[epoch]["open"] for epoch in range(3)] == [{"head"}, {"head", "layer1"}, {"head", "layer1", "stem"}]
    assert [of[epoch]["modes"] for epoch in range(3)] == [(False, False), (False, True), (True, True)]
    assert of[0]["lr"] == of[2]["lr"] == {"layer1": 0.01, "stem": 0.005, "head": 0.01}


def test_what_is_closed_stands_still_bit_for_bit(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    adamw = ["--model.optimizer", "AdamW", "--model.optimizer.lr", "0.01", "--model.optimizer.weight_decay", "0.5"]
    states: list[dict[str, Any]] = []
    for epochs in ("1", "2", "3"):  # the same seed starts all at the same weights; layer1 opens after two
        words = ["--model.unfreeze", "{layer1: 2}", "--trainer.max_epochs", epochs]
        assert tlearn("fit", "-c", small, *adamw, *words).code == 0
        states.append(last(tmp_path, len(states))["state_dict"])
    for name, value in states[0].items():
        if name.startswith(("backbone.conv1", "backbone.bn1")):
            assert torch.equal(value, states[2][name]), name
        elif name.startswith("backbone.layer1"):
            assert torch.equal(value, states[1][name]), name
            assert not torch.equal(value, states[2][name]), name


def test_a_newly_opened_stage_warms_up_and_the_scheduler_does_not_see_it(
    tlearn: Tlearn, small: str, tmp_path: Path
) -> None:
    Watch.rates.clear()
    words = ["--model.unfreeze", "{layer1: 1}", "--trainer.max_epochs", "3", "--model.unfreeze_warmup_steps", "3"]
    assert tlearn("fit", "-c", small, *words, *WATCH).code == 0
    opened = [rates["layer1"] for rates in Watch.rates[3:]]  # three steps an epoch
    assert opened == pytest.approx([0.01 * share for share in (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)])
    assert {rates["head"] for rates in Watch.rates} == {0.01}
    assert [group["lr"] for group in last(tmp_path, 0)["optimizer_states"][0]["param_groups"]] == [0.01, 0.01]


CYCLIC = ["--model.lr_scheduler", "CyclicLR", "--model.lr_scheduler.base_lr", "0.001"]
CYCLIC += ["--model.lr_scheduler.max_lr", "0.01", "--model.lr_scheduler.step_size_up", "4"]


@pytest.mark.parametrize("scheduler", [*SCHEDULERS, "cyclic"])
def test_ratios_between_groups_hold_under_every_scheduler(scheduler: str, tlearn: Tlearn, small: str) -> None:
    Watch.rates.clear()
    words = [*SCHEDULE, *(CYCLIC if scheduler == "cyclic" else SCHEDULERS[scheduler]), "--trainer.max_epochs", "4"]
    answer = tlearn("fit", "-c", small, *words, *WATCH)
    assert answer.code == 0, answer.err
    assert len(Watch.rates) == 12
    for rates in Watch.rates:
        assert rates["stem"] == pytest.approx(0.5 * rates["head"])
        assert rates["layer1"] == pytest.approx(rates["head"])


@pytest.mark.parametrize(("scheduler", "stops"), [(name, "123" if name == "none" else "2") for name in SCHEDULERS])
def test_resumed_equals_uninterrupted(scheduler: str, stops: str, tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    """Stopped before, at and after the last unfreezing."""
    words = ["fit", "-c", small, *SCHEDULE, "--model.unfreeze_warmup_steps", "2", *SCHEDULERS[scheduler]]
    assert tlearn(*words, "--trainer.max_epochs", "4").code == 0
    for version, stop_after in enumerate(stops, 1):
        assert tlearn(*words, "--trainer.max_epochs", stop_after).code == 0
        answer = tlearn(*words, "--trainer.max_epochs", "4", "--ckpt_path", "last")
        assert answer.code == 0, answer.err
        whole, resumed = last(tmp_path, 0), last(tmp_path, version)
        assert whole["epoch"] == resumed["epoch"] == 3
        for name, value in whole["state_dict"].items():
            assert torch.equal(value, resumed["state_dict"][name]), (name, stop_after)
        (one,), (other,) = whole["optimizer_states"], resumed["optimizer_states"]
        torch.testing.assert_close(one["state"], other["state"], rtol=0, atol=0)
        assert one["param_groups"] == other["param_groups"]
        assert whole["lr_schedulers"] == resumed["lr_schedulers"]


def test_a_schedule_that_the_run_never_reaches_is_said(tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, *SCHEDULE, "--trainer.max_epochs", "1")
    assert "model.unfreeze opens layer1 after 1 epochs, this run ends after 1: it stays frozen" in answer.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--model.unfreeze", "{layr1: 1}"], "unknown stage in model.unfreeze 'layr1'. Did you mean 'layer1'?"),
        (["--model.unfreeze", "{layer1: -1}"], "model.unfreeze"),
        (["--model.unfreeze", "{layer1: 1}", "--model.freeze_until", "layer1"], "'layer1' decides nothing"),
        (["--model.unfreeze", "{layer1: 1}", "--model.rules", "{'*': 1.0}"], "model.rules is the whole table"),
        (["--model.unfreeze", "{layer1: 1}", "--model.lr_scales", "{stem: 0.1}"], "'stem' decides nothing"),
    ],
)
def test_wrong_schedules_are_one_line(words: list[str], expected: str, tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, *words)
    assert answer.code == 2
    assert expected in answer.err
    assert answer.err.count("\n") == 1
