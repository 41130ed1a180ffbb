"""A checkpoint written inside an epoch goes on at its step, and ends with the bits of the run that never stopped."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import torch

from tests.conftest import Tlearn
from tests.helpers.runs import EVERY_STEP, assert_same, last

AUGMENTED = ["--data.augment", "{flip: true, crop_padding_px: 2}", "--model.head_dropout", "0.3"]
PLATEAU = [
    *["--model.lr_scheduler", "lightning.pytorch.cli.ReduceLROnPlateau", "--model.lr_scheduler.monitor", "train/loss"],
    *["--model.lr_scheduler.patience", "0", "--model.lr_scheduler.threshold", "0.99"],  # lowers it at every epoch
]
ONE_CYCLE = [
    *["--model.lr_scheduler", "OneCycleLR", "--model.lr_scheduler.max_lr", "0.01"],
    *["--model.lr_scheduler.total_steps", "9"],
]
UNFREEZE = ["--model.unfreeze", "{layer1: 1}", "--model.unfreeze_warmup_steps", "2"]
VARIANTS = {
    "augmented": ([*AUGMENTED, *PLATEAU], (1, 3, 5, 9)),  # in the middle, at an epoch's end, at the run's
    "workers": ([*AUGMENTED, *ONE_CYCLE, "--data.num_workers", "2"], (2, 5)),
    "unfreezing": ([*UNFREEZE, *ONE_CYCLE], (2, 4, 5, 7)),
    "features": (["--model.freeze_backbone", "true", *PLATEAU, "--data.batch_size", "3"], (3, 8, 13)),
    "accumulating": ([*AUGMENTED, "--trainer.accumulate_grad_batches", "2"], (1, 2, 3)),
    "rarely validated": ([*AUGMENTED, *PLATEAU, "--trainer.check_val_every_n_epoch", "2"], (3, 6)),
    "often validated": ([*AUGMENTED, "--trainer.val_check_interval", "0.34"], (1, 3, 5)),
    "averaged": ([*AUGMENTED, "--trainer.callbacks+=EMAWeightAveraging"], (2, 3)),
}
SLOW = [name for name in VARIANTS if name != "augmented"]


def epochs_of(run: Path) -> dict[tuple[str, str], list[str]]:
    """Return what was logged once an epoch, by epoch and name."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name.startswith(("train/", "val/")) and "_per_s" not in name]
    found = dict[tuple[str, str], list[str]]()
    for row in rows:
        for name in names:
            if row[name]:
                found.setdefault((row["step"], name), []).append(row[name])
    return found


@pytest.mark.fault("Stopped inside an epoch, and gone on with", "the bits of a run that was not")
@pytest.mark.filterwarnings("ignore:The dirpath has changed")  # of the callback that keeps every step
@pytest.mark.parametrize("variant", ["augmented", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_resumed_equals_uninterrupted(variant: str, tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    words, steps = VARIANTS[variant]
    words = ["fit", "-c", small, "--trainer.max_epochs", "3", "--trainer.log_every_n_steps", "1", *words]
    answer = tlearn(*words, *EVERY_STEP)
    assert answer.code == 0, answer.err
    whole = tmp_path / "runs/small/version_0"
    logged = epochs_of(whole)
    for step in steps:
        # What lay there when the run was stopped: the best of the epochs before.
        run = tmp_path / f"runs/small/version_{step + 100}"
        (run / "checkpoints").mkdir(parents=True)
        shutil.copy(whole / f"checkpoints/step={step}.ckpt", run / "checkpoints/last.ckpt")
        begun = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
        (best,) = (state for state in begun["callbacks"].values() if state.get("monitor") == "val/acc")
        if best["best_model_path"]:
            (run / "checkpoints/best.ckpt").touch()
        answer = tlearn("fit", "--ckpt_path", str(run))
        assert answer.code == 0, answer.err
        assert answer.out.count("epoch 3/3") == 1
        assert_same(last(tmp_path, 0), last(tmp_path, step + 100))
        if (run / "checkpoints/best.ckpt").stat().st_size:
            assert_same(last(tmp_path, 0, "best"), last(tmp_path, step + 100, "best"))
        for key, values in epochs_of(run).items():
            assert values == logged[key], (step, key)


def test_between_two_batches_of_one_step_is_refused(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    words = ["fit", "-c", small, "--trainer.accumulate_grad_batches", "2"]
    assert tlearn(*words, "--trainer.max_epochs", "1", *EVERY_STEP).code == 0
    path = tmp_path / "runs/small/version_0/checkpoints/step=1.ckpt"
    content = torch.load(path, weights_only=True)
    assert content["tlearn"]["progress"] == {"validates": False, "accumulates": False}
    content["tlearn"]["progress"]["accumulates"] = True
    torch.save(content, path)
    answer = tlearn("fit", "--ckpt_path", str(path))
    assert answer.code == 2
    assert "written between two batches of one step (trainer.accumulate_grad_batches)" in answer.err
