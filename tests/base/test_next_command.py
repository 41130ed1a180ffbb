"""The commands that a run prints can be pasted as they are."""

from __future__ import annotations

import shlex
from pathlib import Path

from tlearn.base.next_command import next_command, resume_command

BEST = Path("runs/my pictures/version_0/checkpoints/best.ckpt")


def test_a_run_is_named_by_its_folder() -> None:
    said = next_command(BEST, pictures=True)
    run = "runs/my pictures/version_0"
    assert shlex.split(said) == ["tlearn", "predict", run, "PHOTOS", "--out", "predictions.csv"]
    assert shlex.split(next_command(BEST, pictures=False)) == ["tlearn", "test", run]
    assert shlex.split(next_command(BEST, pictures=False, after="test"))[:3] == ["tlearn", "predict", run]


def test_a_checkpoint_outside_a_run_folder_is_named_itself() -> None:
    assert next_command(Path("mine.ckpt"), pictures=False) == "tlearn test mine.ckpt"
    assert resume_command(BEST.with_name("last.ckpt")).endswith("'runs/my pictures/version_0/checkpoints/last.ckpt'")
