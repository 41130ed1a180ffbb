"""`--find_lr` takes no rate that it has not seen the end of, and what it found is shown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import Tlearn
from tests.helpers.runs import events, last
from tlearn.training.strategies.lr_finder import still_falls


def card(root: Path, version: int) -> dict[str, Any]:
    return dict(json.loads((root / f"runs/small/version_{version}/card.json").read_text()))


def test_a_range_that_ends_before_the_loss_turns_is_refused(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    answer = tlearn("fit", "-c", small, "--find_lr", "--trainer.gradient_clip_val", "0.01")  # never diverges
    assert answer.code == 2
    assert "find_lr: the loss still falls at 10, the highest rate that was tried" in answer.err
    assert "set model.optimizer.init_args.lr yourself" in answer.err
    assert not list(tmp_path.rglob("*.ckpt"))


@pytest.mark.parametrize(
    ("steps", "falls_until", "expected"), [(100, 100, True), (100, 60, False), (81, 81, False), (100, 98, True)]
)
def test_still_falls(steps: int, falls_until: int, expected: bool) -> None:
    losses = [3.0 - 0.01 * step if step < falls_until else 100.0 for step in range(steps)]
    assert still_falls(losses) is expected


def test_what_it_found_is_in_card_and_hparams_also_after_a_resume(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    words = ["fit", "-c", small, "--find_lr", "--model.optimizer.lr", "1e-4", "--model.lr_scales", "{backbone: 0.5}"]
    answer = tlearn(*words)
    assert answer.code == 0, answer.err
    groups = {group["name"]: group["lr"] for group in last(tmp_path)["optimizer_states"][0]["param_groups"]}
    found = groups["head"]
    assert found > 2e-4
    assert card(tmp_path, 0)["model"]["lr"] == pytest.approx(found)
    assert card(tmp_path, 0)["model"]["find_lr"] is True
    assert f"{found:.3g}" in (tmp_path / "runs/small/version_0/card.md").read_text()
    start = events(tmp_path).SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"find_lr" in start
    assert tlearn("fit", "--ckpt_path", "runs/small/version_0", "--trainer.max_epochs", "3").code == 0
    assert card(tmp_path, 0)["epochs"]["done"] == 3
    assert card(tmp_path, 0)["model"]["lr"] == pytest.approx(found)
    # The run's config says `find_lr`: played again, it finds the same rate and ends with the same bits.
    again = ["fit", "-c", "runs/small/version_0/config.yaml", "--trainer.logger.init_args.version", "version_1"]
    assert tlearn(*again, "--trainer.max_epochs", "3").code == 0
    one, other = (last(tmp_path, version)["state_dict"] for version in (0, 1))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert tlearn("fit", "-c", small).code == 0
    assert card(tmp_path, 2)["model"]["lr"] == 0.01
    assert "find_lr" not in card(tmp_path, 2)["model"]


def test_the_top_of_a_cycle_is_what_is_shown(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    cycle = ["--model.lr_scheduler", "OneCycleLR", "--model.lr_scheduler.max_lr", "0.001"]
    answer = tlearn("fit", "-c", small, "--find_lr", *cycle, "--model.lr_scheduler.total_steps", "6")
    assert answer.code == 0, answer.err
    (group,) = last(tmp_path)["optimizer_states"][0]["param_groups"]
    assert card(tmp_path, 0)["model"]["lr"] == pytest.approx(group["max_lr"])


def test_stages_that_it_did_not_try_are_named(tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, "--find_lr", "--model.unfreeze", "{layer1: 1}")
    assert answer.code == 0, answer.err
    assert re.search(r"find_lr tried its rates while layer1 did not train", answer.err)
    answer = tlearn("fit", "-c", small, "--find_lr")
    assert "did not train" not in answer.err
