"""What monitors a metric looks the right way, and callbacks that cannot work name what can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import BatchSizeFinder, EarlyStopping, LearningRateFinder, ModelCheckpoint
from lightning.pytorch.cli import ReduceLROnPlateau

from tests.conftest import Tlearn
from tlearn import DigitsDataModule, TransferModule
from tlearn.base.errors import TlearnError
from tlearn.training.run_checks import better_mode

PLATEAU = ["--model.lr_scheduler", "lightning.pytorch.cli.ReduceLROnPlateau"]


def callback(name: str, **options: str) -> list[str]:
    return [f"--trainer.callbacks+={name}", *(f"--trainer.callbacks.{key}={value}" for key, value in options.items())]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (callback("EarlyStopping", monitor="val/acc"), "EarlyStopping monitors val/acc, of which more is better"),
        (callback("EarlyStopping", monitor="val/acc", mode="min"), "with mode min: it would take the lowest"),
        (callback("EarlyStopping", monitor="val/acc_macro"), "set its mode to max"),
        (callback("EarlyStopping", monitor="train/loss_step", mode="max"), "of which less is better, with mode max"),
        (callback("ModelCheckpoint", monitor="val/acc"), "ModelCheckpoint monitors val/acc"),
        (callback("ModelCheckpoint", monitor="val/ece_scaled", mode="max"), "set its mode to min"),
        ([*PLATEAU, "--model.lr_scheduler.monitor", "val/acc"], "ReduceLROnPlateau monitors val/acc"),
        ([*PLATEAU, "--model.lr_scheduler.monitor", "val/loss", "--model.lr_scheduler.mode", "max"], "to min"),
    ],
)
def test_the_wrong_way_is_refused(words: list[str], expected: str, tlearn: Tlearn, small: str) -> None:
    answer = tlearn("plan" if "loss_step" in expected + str(words) else "fit", "-c", small, *words)
    assert answer.code == 2
    assert expected in answer.err
    assert answer.remarks.count("\n") == 1
    assert "epoch 1/" not in answer.out
    assert not list(Path("runs/small").glob("*"))  # no run began


@pytest.mark.parametrize(
    "words",
    [
        callback("EarlyStopping", monitor="val/acc", mode="max"),
        callback("EarlyStopping", monitor="val/temperature", mode="max"),  # neither is better
        callback("ModelCheckpoint", monitor="val/loss"),
        [*PLATEAU, "--model.lr_scheduler.monitor", "val/acc", "--model.lr_scheduler.mode", "max"],
    ],
)
def test_the_right_way_trains(words: list[str], tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, *words)
    assert answer.code == 0, answer.err


@pytest.mark.parametrize("metric", ["mae", "r2"])
def test_regression(metric: str, tlearn: Tlearn) -> None:
    words = callback("EarlyStopping", monitor=f"val/{metric}", mode="max" if metric == "mae" else "min")
    answer = tlearn("fit", "-c", "regression.yaml", "--model.tap", "layer1", *words)
    assert answer.code == 2
    assert f"EarlyStopping monitors val/{metric}, of which {'less' if metric == 'mae' else 'more'} is" in answer.err


def fitted(tmp_path: Path, *callbacks: Callback, **options: Any) -> None:
    data = DigitsDataModule(classes=[0, 1, 2], train_per_class=8, val_fraction=0.05, batch_size=8, size_px=16)
    module = TransferModule(num_classes=3, weights=None, tap="layer1", **options)
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=1, accelerator="cpu", default_root_dir=tmp_path, callbacks=list(callbacks), **quiet)
    trainer.fit(module, datamodule=data)


def test_from_python(tmp_path: Path) -> None:
    with pytest.raises(TlearnError, match="EarlyStopping monitors val/acc, of which more is better"):
        fitted(tmp_path, EarlyStopping("val/acc"))
    with pytest.raises(TlearnError, match="ModelCheckpoint monitors val/f1"):
        fitted(tmp_path, ModelCheckpoint(tmp_path, monitor="val/f1"))
    with pytest.raises(TlearnError, match="ReduceLROnPlateau monitors val/map"):
        fitted(tmp_path, lr_scheduler=lambda optimizer: ReduceLROnPlateau(optimizer, monitor="val/map"))
    with pytest.raises(TlearnError, match="use --find_lr"):
        fitted(tmp_path, LearningRateFinder())
    with pytest.raises(TlearnError, match="BatchSizeFinder would train with another batch_size"):
        fitted(tmp_path, BatchSizeFinder())
    fitted(tmp_path, EarlyStopping("val/acc", mode="max"))
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("name", ["LearningRateFinder", "BatchSizeFinder"])
def test_finders_name_what_works_here(name: str, tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, *callback(name))
    assert answer.code == 2
    assert answer.err.startswith(f"error: {name}")
    assert "--find_lr" in answer.err
    assert answer.remarks.count("\n") == 1
    assert not list(Path("runs/small").glob("*"))


def test_every_metric_that_is_logged_has_a_direction() -> None:
    from tlearn.models.metrics import metric_names

    names = [*metric_names("classification", 9, "val"), *metric_names("multilabel", 9, "val")]
    for name in [*names, *metric_names("regression", 1, "val"), "val/ece", "val/ece_scaled", "train/loss_step"]:
        assert better_mode(name) is not None, name
    assert better_mode("lr-SGD/head") is None
    assert better_mode("train/grad_norm") is None
