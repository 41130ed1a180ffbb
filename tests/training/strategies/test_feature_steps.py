"""A head on cached features is trained in a plain loop: the bits, counters and curves of Lightning's own."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from tests.conftest import Tlearn
from tests.helpers.runs import EVERY_STEP, FROZEN, SCHEDULERS, assert_same, events, last
from tlearn import DigitsDataModule, TransferModule, callbacks_for

# 24 images: seven batches, the last of them smaller, and a step in three is logged.
WORDS = ["--data.batch_size", "4", "--data.drop_last", "false", "--trainer.log_every_n_steps", "3", *FROZEN]
IN_LIGHTNING = "the head is trained in Lightning's loop, which is slower than a plain one: "


class EachStep(Callback):
    """Ask for each step, and do nothing with it."""

    needs_each_step = True


class GradientNoise(Callback):
    """Change the gradients of each step, as Lightning lets callbacks do."""

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for parameter in pl_module.parameters():
            if parameter.grad is not None:
                parameter.grad.add_(1e-3)


class Seen(Callback):
    """Note what a callback is shown of the steps."""

    ends: ClassVar[list[tuple[int, int, int]]] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.ends.append((batch_idx, trainer.global_step, outputs["taken"].images))


class Term(Callback):
    """Send SIGTERM within a step, counted from 1."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, TransferModule)

        def send(*_: Any) -> None:
            if trainer.training and trainer.global_step + 1 == self.step:
                os.kill(os.getpid(), signal.SIGTERM)

        pl_module.head.register_forward_pre_hook(send)


def own(name: str, **options: int) -> list[str]:
    words = [f"--trainer.callbacks+=tests.training.strategies.test_feature_steps.{name}"]
    return words + [f"--trainer.callbacks.{key}={value}" for key, value in options.items()]


def curves(root: Path, version: int) -> dict[str, list[tuple[int, float]]]:
    log = events(root, version)
    tags = [tag for tag in log.Tags()["scalars"] if "images_per_s" not in tag and "time" not in tag]
    return {tag: sorted((point.step, point.value) for point in log.Scalars(tag)) for tag in tags}


CASES = {
    "plain": [],
    "one_cycle": [
        *["--model.lr_scheduler", "OneCycleLR", "--model.lr_scheduler.max_lr", "0.01"],
        *["--model.lr_scheduler.total_steps", "18"],
    ],
    "by_epoch": [*SCHEDULERS["step"], "--model.warmup_steps", "4"],
    "plateau": SCHEDULERS["plateau"],
    "clipped": ["--trainer.gradient_clip_val", "0.01", "--model.optimizer", "Adam"],
    "windows": ["--trainer.accumulate_grad_batches", "4", "--model.warmup_epochs", "1"],
    "weighted": ["--model.class_weights", "[1, 2, 3]", "--model.label_smoothing", "0.1"],
    "views": ["--model.cache_views", "3", "--data.augment.flip", "true"],
    "dropout": ["--model.head_hidden", "[8]", "--model.head_dropout", "0.5", "--model.optimizer", "AdamW"],
    "validating": ["--trainer.val_check_interval", "3"],
    "max_steps": ["--trainer.max_steps", "8", "--trainer.max_epochs", "9"],
    "validating_in_a_window": ["--trainer.val_check_interval", "2", "--trainer.accumulate_grad_batches", "4"],
    "line_search": [
        *["--model.optimizer", "LBFGS", "--model.optimizer.max_iter", "3", "--trainer.accumulate_grad_batches", "2"],
        *["--model.optimizer.line_search_fn", "strong_wolfe"],
    ],
    "solved": ["--model.head_solver", "ridge"],
    "bf16": ["--trainer.precision", "bf16-mixed"],
    "opening": ["--model.unfreeze", "{layer1: 2}", "--model.unfreeze_warmup_steps", "2"],
}


@pytest.mark.parametrize("case", CASES)
def test_the_plain_loop_takes_the_steps_of_lightnings(case: str, tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    words = ["fit", "-c", small, *WORDS, "--trainer.max_epochs", "3", *CASES[case]]
    if case == "opening":
        words = [word for word in words if word not in FROZEN]
    plain, stepwise = tlearn(*words), tlearn(*words, *own("EachStep"))
    assert (plain.code, stepwise.code) == (0, 0), plain.err + stepwise.err
    assert IN_LIGHTNING not in plain.err
    assert f"{IN_LIGHTNING}EachStep acts at each step" in stepwise.err
    one, other = last(tmp_path, 0), last(tmp_path, 1)
    assert_same(one, other)
    assert one["loops"] == other["loops"]
    assert one["global_step"] > 0
    assert curves(tmp_path, 0) == curves(tmp_path, 1)


def test_a_callback_sees_an_epoch_as_one_batch(tlearn: Tlearn, small: str) -> None:
    Seen.ends.clear()
    assert tlearn("fit", "-c", small, *WORDS, "--trainer.max_epochs", "2", *own("Seen")).code == 0
    assert Seen.ends == [(5, 6, 24), (5, 12, 24)]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (own("GradientNoise"), "GradientNoise acts at each step"),
        (EVERY_STEP, "ModelCheckpoint acts at each step"),
        (["--trainer.callbacks+=EMAWeightAveraging"], "EMAWeightAveraging acts at each step"),
        (["--trainer.profiler", "simple"], "trainer.profiler times each step"),
        (["--trainer.precision", "bf16-true"], "trainer.precision bf16-true acts at each step"),
    ],
)
def test_what_needs_each_step_gets_it_and_a_line_says_so(
    words: list[str], reason: str, tlearn: Tlearn, small: str, tmp_path: Path
) -> None:
    answer = tlearn("fit", "-c", small, *WORDS, "--trainer.max_epochs", "1", *words)
    assert answer.code == 0, answer.err
    assert IN_LIGHTNING + reason in answer.err
    if words == EVERY_STEP:
        assert len(list(tmp_path.rglob("step=*.ckpt"))) == 6


@pytest.mark.parametrize("former", [[], own("EachStep")], ids=["plain", "lightning"])
def test_a_signal_ends_the_run_within_an_epoch_and_a_resume_has_the_same_bits(
    former: list[str], tlearn: Tlearn, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLEARN_TRUST", "tests")  # the resume finds the callback in the run's folder
    words = ["fit", "-c", small, *WORDS, "--trainer.max_epochs", "3", "--model.head_dropout", "0.5"]
    assert tlearn(*words).code == 0
    assert tlearn(*words, *former, *own("Term", step=9)).code == 143
    stopped = last(tmp_path, 1)
    assert (stopped["global_step"], stopped["epoch"]) == (9, 1)
    assert tlearn(*words, "--ckpt_path", "runs/small/version_1/checkpoints/last.ckpt").code == 0
    assert_same(last(tmp_path, 0), last(tmp_path, 1))


class OwnClipping(TransferModule):
    """Clip by a rule that no option of the trainer asks for."""

    def configure_gradient_clipping(self, *_: Any, **__: Any) -> None:
        torch.nn.utils.clip_grad_value_(self.head.parameters(), 1e-3)


class OwnEnd(TransferModule):
    """Change the weights behind each step."""

    def on_train_batch_end(self, *_: Any) -> None:
        with torch.no_grad():
            next(self.head.parameters()).mul_(0.9)


class OwnLog(TransferModule):
    """Log in what is minimised."""

    def training_loss(self, output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        loss = super().training_loss(output, targets)
        self.log("train/twice", 2 * loss.detach(), on_step=False, on_epoch=True)
        return 2 * loss


def hooked(**options: Any) -> TransferModule:
    """Make a network one of whose hooks halves the logits of each batch."""
    module = TransferModule(**options)
    module.register_forward_hook(lambda _, __, output: output / 2)
    return module


class Noisy(torch.nn.Linear):
    """Draw, and be no dropout."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x + torch.rand_like(x))


def noisy(**options: Any) -> TransferModule:
    module = TransferModule(**options)
    module.head = Noisy(module.backbone.num_features, module.num_outputs)
    return module


@pytest.mark.parametrize("make", [OwnClipping, OwnEnd, OwnLog, hooked, noisy])
def test_no_part_of_a_users_own_is_left_out(make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = []
    for own_callbacks in ([], [EachStep()]):
        torch.manual_seed(0)
        data = DigitsDataModule(classes=[0, 1, 2], train_per_class=8, batch_size=10, drop_last=False, size_px=16)
        module = make(num_classes=3, weights=None, tap="layer1", freeze_backbone=True)
        callbacks = [*own_callbacks, *callbacks_for(module, checkpoints=False)]
        silent: dict[str, Any] = {
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
        }
        trainer = Trainer(max_epochs=2, accelerator="cpu", callbacks=callbacks, **silent)
        trainer.fit(module, datamodule=data)
        found.append((module.head.state_dict(), trainer.callback_metrics.get("train/twice")))
    (weights, logged), (wanted, logged_there) = found
    torch.testing.assert_close(weights, wanted, rtol=0, atol=0)
    assert (logged is None) == (logged_there is None) == (make is not OwnLog)
    assert logged is None or (logged_there is not None and float(logged) == pytest.approx(float(logged_there)))
