"""Callbacks that stop a bad run early: a loss that is not finite, a monitor that nothing logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from tlearn.base.errors import DivergedError, TlearnError, unknown
from tlearn.base.processes import summed
from tlearn.base.types import Batch
from tlearn.models.metrics import metric_names
from tlearn.models.state import how_to_lower, rates_text
from tlearn.training.callbacks.checkpoints import BestCheckpoint, LastCheckpoint
from tlearn.training.callbacks.taken_steps import TakenSteps
from tlearn.training.module import model_of
from tlearn.training.typed import callbacks_of, logging_interval, on_features


class FiniteLossCallback(Callback):
    """End training if the loss is NaN or infinite, before the epoch is validated and saved.

    Losses are collected and checked together, every ``trainer.log_every_n_steps`` batches and at the last batch of an
    epoch, because each check waits for the GPU. While the head trains on cached features, whose steps are hardly longer
    than a check, they are checked once an epoch. Gradients are not checked, since loss scaling makes them overflow now
    and then.
    """

    # An epoch whose loss is not finite is not saved.
    before: ClassVar = (BestCheckpoint, LastCheckpoint)

    def __init__(self) -> None:
        # Step, counted from 1; its loss; and the rates of the step before, which made the weights that gave this loss.
        self._waiting: list[tuple[int, Tensor, dict[str, float]]] = []
        self._done, self._rates = 0, dict[str, float]()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drop what an interrupted run may have left."""
        module = model_of(trainer)
        self._waiting, self._done = [], trainer.global_step
        self._rates = module.rates_used or module.rates_in_use()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Keep the loss of this batch, and check the losses so far when it is time.

        Raises:
            DivergedError: A loss is not finite. The message names epoch, step and learning rates.
        """
        module = model_of(trainer)
        taken: TakenSteps | None = outputs.get("taken")
        for loss, step in taken.each() if taken else [(outputs["loss"], trainer.global_step)]:
            self._waiting.append((self._done + 1, loss, self._rates))  # batches that are accumulated share a step
            if step > self._done:
                self._rates = (taken.rates_of(self._done) if taken else module.rates_used) or self._rates
            self._done = step
        every = logging_interval(trainer)
        is_time = len(self._waiting) >= every > 0 and not on_features(trainer)
        if is_time or trainer.is_last_batch:
            self._look(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the rest if ``max_steps`` or ``max_time`` ended the epoch."""
        if self._waiting:
            self._look(trainer)

    def _look(self, trainer: Trainer) -> None:
        waiting, self._waiting = self._waiting, []
        _check(trainer, waiting)


def _check(trainer: Trainer, waiting: list[tuple[int, Tensor, dict[str, float]]]) -> None:
    losses = torch.stack([loss for _, loss, _ in waiting]).detach()
    if summed((~losses.isfinite()).int()).sum() == 0:
        return
    losses = summed(losses)  # of all processes, so that they end together
    first = int((~losses.isfinite()).nonzero()[0])
    step, _, rates = waiting[first]
    groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
    scheduler = vars(trainer.lr_scheduler_configs[0].scheduler) if trainer.lr_scheduler_configs else {}
    raise DivergedError(
        f"the training loss is {float(losses[first])} in epoch {trainer.current_epoch + 1}, step {step}, learning rate "
        f"{rates_text(rates)}; {how_to_lower(groups, scheduler)}"
    )


class MonitorCheckCallback(Callback):
    """Refuse a callback or scheduler whose ``monitor`` is never logged."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare every monitor with the metrics that the model logs.

        Raises:
            TlearnError: A metric is never logged. The message lists those that are.
        """
        module = model_of(trainer)
        of = module.task, module.num_outputs
        train = [*metric_names(*of, "train", module.class_names), "train/loss_step", "train/images_per_s"]
        train.append("train/grad_norm")
        val = metric_names(*of, "val", module.class_names)
        calibration = ("temperature", "uniform_share", "ece", "ece_scaled")
        val += [] if module.task == "regression" else [f"val/{name}" for name in calibration]
        for owner, monitor in _monitors(trainer):
            if monitor in val and not trainer.enable_validation and not isinstance(owner, BestCheckpoint):
                raise TlearnError(
                    f"{type(owner).__name__} monitors {monitor}, but no validation runs (trainer.limit_val_batches, or "
                    "data.init_args.val_fraction, is 0)"
                )
            if monitor not in (*train, *val) and not monitor.startswith("lr-"):
                raise unknown(f"monitor of {type(owner).__name__}", monitor, [*val, *train])


def _monitors(trainer: Trainer) -> Iterator[tuple[Any, str]]:
    owners = [*callbacks_of(trainer), *(config.scheduler for config in trainer.lr_scheduler_configs)]
    for owner in owners:
        monitor = getattr(owner, "monitor", None)
        if isinstance(monitor, str):
            yield owner, monitor
