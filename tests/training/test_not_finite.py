"""A loss, weights or answers that are no numbers: said in one line, and never kept in a file."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from PIL import Image
from torch import Tensor

import tlearn as package
from tests.conftest import Tlearn
from tests.helpers.not_a_number import spoil, spoilt
from tests.helpers.runs import last
from tlearn.base.errors import TlearnError
from tlearn.data.sources.digits import DigitsDataModule
from tlearn.models.state import check_answers, not_finite
from tlearn.training.callbacks.checkpoints import AtomicCheckpointIO
from tlearn.training.callbacks.guards import FiniteLossCallback
from tlearn.training.module import TransferModule

FAST = ["--model.freeze_backbone", "true"]  # cached features


class SpoilLoss(Callback):
    """Make the head's bias NaN before one step, counted from 1: the loss of that step is none."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = cast(TransferModule, pl_module)

        def spoil_before(*_: Any) -> None:
            if trainer.training and trainer.global_step + 1 == self.step:
                spoil(module)

        module.head.register_forward_pre_hook(spoil_before)


class SpoilWeights(Callback):
    """Make the head's bias NaN behind the last step of an epoch, counted from 0: no loss of it tells."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == self.epoch and not trainer.sanity_checking:
            spoil(cast(TransferModule, pl_module))


def callback(name: str, **options: int) -> list[str]:
    words = [f"--trainer.callbacks+=tests.training.test_not_finite.{name}"]
    return words + [f"--trainer.callbacks.{key}={value}" for key, value in options.items()]


@pytest.mark.pictures
@pytest.mark.fault(
    "The loss becomes NaN within an epoch", "one line with epoch, step and rate; checkpoints of finite weights"
)
@pytest.mark.parametrize("more", [[], FAST, ["--trainer.accumulate_grad_batches", "2"]], ids=["images", "cached", "2"])
def test_training_stops_in_the_epoch_and_keeps_what_was_good(
    tlearn: Tlearn, small: str, tmp_path: Path, more: list[str]
) -> None:
    words = ["fit", "-c", small, "--trainer.max_epochs", "9", *more]
    answer = tlearn(*words, *callback("SpoilLoss", step=8 if "2" not in more else 5))
    assert answer.code == 2
    step = "epoch 3, step 8" if "2" not in more else "epoch 3, step 5"
    assert f"error: the training loss is nan in {step}, learning rate 0.01; lower it" in answer.err
    assert "--trainer.gradient_clip_val 1" in answer.err.splitlines()[-1]
    for name in ("best", "last"):
        content = last(tmp_path, name=name)
        assert content["epoch"] <= 1
        assert not_finite(content["state_dict"]) is None
    assert last(tmp_path)["epoch"] == 1


@pytest.mark.pictures
@pytest.mark.fault("Weights become NaN behind an epoch's last loss", "one line; they reach no checkpoint")
def test_weights_spoilt_behind_the_last_loss_reach_no_checkpoint(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    answer = tlearn("fit", "-c", small, *FAST, "--trainer.max_epochs", "5", *callback("SpoilWeights", epoch=2))
    assert answer.code == 2
    assert "is no longer finite in epoch 3, step 9, learning rate 0.01, and " in answer.err
    for name in ("best", "last"):
        assert not_finite(last(tmp_path, name=name)["state_dict"]) is None
    assert last(tmp_path)["epoch"] == 1


@pytest.mark.fault("A checkpoint of NaN weights is asked and exported", "refused in one line; no file written")
def test_nothing_is_answered_or_exported_that_is_no_number(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    assert tlearn("fit", "-c", small, *FAST, "--trainer.max_epochs", "1").code == 0
    path = spoilt(tmp_path)
    answer = tlearn("predict", "--ckpt_path", str(path), "--out", "out.csv")
    assert answer.code == 2
    (line,) = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: {path} answers what is no number (NaN or infinite) for ")
    answer = tlearn("export", "--ckpt_path", str(path), "--out", "out.safetensors")
    assert answer.code == 2
    assert f"error: {path}: head.bias is not finite; export another checkpoint" in answer.err
    assert [file.name for file in tmp_path.iterdir() if "out" in file.name] == []
    black = torch.zeros(16, 16, 3, dtype=torch.uint8).numpy()
    with pytest.raises(TlearnError, match=r"spoilt\.ckpt answers what is no number"):
        package.load(path).predict([Image.fromarray(black)])


def test_a_checkpoint_that_is_not_finite_replaces_none(tmp_path: Path) -> None:
    path, io = tmp_path / "last.ckpt", AtomicCheckpointIO()
    about = {"epoch": 0, "global_step": 3, "optimizer_states": [{"param_groups": [{"name": "rest", "lr": 0.5}]}]}
    io.save_checkpoint({"state_dict": {"w": torch.ones(2)}, **about}, path)
    for bad in (math.nan, math.inf, -math.inf):
        with pytest.raises(TlearnError, match=r"w is no longer finite in epoch 1, step 3, learning rate 0.5, .*last"):
            io.save_checkpoint({"state_dict": {"w": torch.tensor([1.0, bad])}, **about}, path)
    io.teardown()
    assert torch.load(path, weights_only=True)["state_dict"]["w"].tolist() == [1, 1]


@pytest.mark.parametrize("value", [3e38, 6e4])
def test_large_numbers_whose_sum_overflows_are_numbers(value: float) -> None:
    kind = torch.float32 if value > 1e30 else torch.float16
    assert not_finite({"a": torch.full((4,), value, dtype=kind), "count": torch.tensor(3)}) is None


@pytest.mark.parametrize(("every", "looks"), [(10, [10, 20, 25]), (0, [25]), (50, [25])])
def test_losses_are_looked_at_at_intervals_and_at_the_end(
    monkeypatch: pytest.MonkeyPatch, every: int, looks: list[int]
) -> None:
    assert looked(monkeypatch, every, on_features=False) == looks


def test_on_features_an_epoch_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looked(monkeypatch, 10, on_features=True) == [25]


def looked(monkeypatch: pytest.MonkeyPatch, every: int, on_features: bool) -> list[int]:
    """At which of 25 batches the losses are looked at."""
    found: list[int] = []
    isfinite: Callable[[Tensor], Tensor] = torch.Tensor.isfinite
    module = TransferModule(2, weights=None, tap="stem")
    monkeypatch.setattr(DigitsDataModule, "serves_features", on_features)
    data = DigitsDataModule(classes=[0, 1])
    watch = FiniteLossCallback()
    for batch in range(1, 26):
        trainer: Any = SimpleNamespace(
            global_step=batch,
            log_every_n_steps=every,
            is_last_batch=batch == 25,
            lightning_module=module,
            datamodule=data,
        )

        def noted(x: Tensor, batch: int = batch) -> Tensor:
            found.append(batch)
            return isfinite(x)

        monkeypatch.setattr(torch.Tensor, "isfinite", noted)
        watch.on_train_batch_end(trainer, module, {"loss": torch.tensor(0.5)}, cast(Any, None), batch - 1)
    monkeypatch.undo()
    return found


def test_answers_count_images(tmp_path: Path) -> None:
    check_answers(torch.zeros(3, 2), "x")
    bad = torch.tensor([[0.1, math.nan], [math.nan, math.nan], [0.5, 0.5]])
    with pytest.raises(TlearnError, match=r"^x answers what is no number .* for 2 of 3 images"):
        check_answers(bad, "x")
