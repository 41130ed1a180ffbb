"""What a run of the configuration `small` left behind, and words that several tests add to it."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.conftest import Tlearn

# Three steps an epoch; every step of the run is kept, so a resume can begin at any.
EVERY_STEP = [
    *["--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.every_n_train_steps=1"],
    *["--trainer.callbacks.save_top_k=-1", "--trainer.callbacks.filename={step}"],
    *["--trainer.callbacks.save_on_train_epoch_end=false"],
]

SCHEDULERS = {
    "none": [],
    "step": ["--model.lr_scheduler", "StepLR", "--model.lr_scheduler.step_size", "1"],
    "cosine": ["--model.lr_scheduler", "CosineAnnealingLR", "--model.lr_scheduler.T_max", "4"],
    "one_cycle": [
        *["--model.lr_scheduler", "OneCycleLR", "--model.lr_scheduler.max_lr", "0.01"],
        *["--model.lr_scheduler.total_steps", "12"],
    ],
    "plateau": [
        *["--model.lr_scheduler", "lightning.pytorch.cli.ReduceLROnPlateau"],
        *["--model.lr_scheduler.monitor", "train/loss", "--model.lr_scheduler.patience", "0"],
        *["--model.lr_scheduler.threshold", "0.99"],  # lowers it at every epoch
    ],
}

FROZEN = ("--model.freeze_backbone", "true")


def last(root: Path, version: int = 0, name: str = "last", run: str = "small") -> dict[str, Any]:
    path = root / f"runs/{run}/version_{version}/checkpoints/{name}.ckpt"
    return dict(torch.load(path, weights_only=True))  # C30: plain values and tensors only


def newest(log: EventAccumulator, tag: str) -> float:
    """Return the value written last: TensorBoard reads the files of one second in any order."""
    return float(max(log.Scalars(tag), key=lambda point: point.wall_time).value)


def events(root: Path, version: int = 0) -> EventAccumulator:
    return EventAccumulator(str(root / f"runs/small/version_{version}")).Reload()


def curve(root: Path, name: str, version: int = 0) -> dict[int, float]:
    """Read a curve of metrics.csv, by step; a step is there once."""
    with (root / f"runs/small/version_{version}/metrics.csv").open(newline="") as file:
        found = [(int(row["step"]), float(row[name])) for row in csv.DictReader(file) if row.get(name)]
    assert max(Counter(step for step, _ in found).values()) == 1, found
    return dict(found)


def entries(root: Path) -> list[Path]:
    return sorted((root / ".cache/tlearn").glob("*.npy"))


def state(root: Path, version: int) -> dict[str, torch.Tensor]:
    return dict(last(root, version)["state_dict"])


def assert_same(one: Any, other: Any) -> None:
    torch.testing.assert_close(one["state_dict"], other["state_dict"], rtol=0, atol=0)
    assert str(one["optimizer_states"]) == str(other["optimizer_states"])
    assert str(one["lr_schedulers"]) == str(other["lr_schedulers"])
    assert one["global_step"] == other["global_step"]
    assert one["epoch"] == other["epoch"]
    assert one["tlearn"] == other["tlearn"]
    steps = [each["loops"]["fit_loop"]["epoch_loop.state_dict"]["_batches_that_stepped"] for each in (one, other)]
    assert steps[0] == steps[1]


def planned(tlearn: Tlearn, tmp_path: Path, *words: str) -> dict[str, Any]:
    answer = tlearn("plan", *words, "--out", "plan.json")
    assert answer.code == 0, answer.err
    return dict(json.loads((tmp_path / "plan.json").read_text()))
