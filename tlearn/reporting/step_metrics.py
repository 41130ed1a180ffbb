"""Curves of a run: throughput, gradient norm, step loss and learning rates; and a warning about busy cores."""

from __future__ import annotations

import logging
import os
import time
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from tlearn.base.machine import Neighbours, free_threads
from tlearn.base.processes import summed
from tlearn.base.types import Batch
from tlearn.training.callbacks.stopping import StopCallback
from tlearn.training.callbacks.taken_steps import TakenSteps
from tlearn.training.module import model_of
from tlearn.training.typed import callbacks_of, logging_interval, on_features

log = logging.getLogger(__name__)


class ThroughputCallback(Callback):
    """Log ``train/images_per_s`` once an epoch."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start counting. A resumed epoch has no `on_train_epoch_start`; its rate is that of the rest of it."""
        self._start()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start counting the images."""
        self._start()

    def _start(self) -> None:
        self._images, self._pause_s, self._start_s = 0, 0.0, time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Count the images of a batch."""
        taken: TakenSteps | None = outputs.get("taken")
        self._images += taken.images if taken else len(batch.images)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock."""
        self._validation_start_s = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock again."""
        if not trainer.sanity_checking and trainer.training:
            self._pause_s += time.perf_counter() - self._validation_start_s

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the throughput of the epoch in images/s."""
        time_s = time.perf_counter() - self._start_s - self._pause_s
        images = summed(torch.tensor(float(self._images), device=pl_module.device))
        pl_module.log("train/images_per_s", images / time_s)


GRADIENT_NORM = "train/grad_norm"


class GradientNormCallback(Callback):
    """Log ``train/grad_norm``, the Euclidean norm of all gradients before clipping.

    It is computed every ``trainer.log_every_n_steps`` steps. While the head trains on cached features it is computed
    once an epoch, because it takes a tenth of such a step.
    """

    needs_each_step: ClassVar = False

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Compute and log the norm, if this step is one of those."""
        module = model_of(trainer)
        every = logging_interval(trainer)
        once = on_features(trainer)
        wanted = trainer.is_last_batch if once else every and (trainer.global_step + 1) % every == 0
        if not wanted:
            return
        self._norm = total_norm(optimizer)
        if not once:
            module.log(GRADIENT_NORM, self._norm)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the norm of an epoch on cached features."""
        module = model_of(trainer)
        if on_features(trainer) and hasattr(self, "_norm"):
            module.log(GRADIENT_NORM, self._norm)


def total_norm(optimizer: Optimizer) -> Tensor:
    """Return the Euclidean norm of all gradients that an optimizer is about to use, a scalar."""
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    return get_total_norm(gradients) if gradients else torch.tensor(0.0)


STEP_LOSS = "train/loss_step"


class StepLossCallback(Callback):
    """Log ``train/loss_step`` every ``trainer.log_every_n_steps`` steps.

    While the head trains on cached features the points are written once an epoch, because logging one takes as long as
    a step.
    """

    before: ClassVar = (StopCallback,)  # whose checkpoint is to hold the loss of the step at hand

    def __init__(self) -> None:
        self._waiting: dict[int, Tensor] = {}
        self._last: Tensor | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the points that are not written yet and the newest loss, for a checkpoint within an epoch."""
        return {"waiting": self._waiting, "last": self._last} if self._last is not None else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the points of the run that is resumed."""
        self._waiting, self._last = state_dict["waiting"], state_dict["last"]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Log the loss of this batch, or keep it for the end of the epoch."""
        module = model_of(trainer)
        every = logging_interval(trainer)
        taken: TakenSteps | None = outputs.get("taken")
        if taken:
            self._keep(taken, every)
            return
        step = trainer.global_step
        weight = module.loss_weight
        loss = outputs["loss"] * trainer.accumulate_grad_batches  # Lightning has divided the loss by this
        loss = self._last = loss if weight is None else loss * weight
        if not every or not step or step % every:
            return
        if on_features(trainer):
            self._waiting.setdefault(step - 1, loss)
        else:
            module.log(STEP_LOSS, loss, prog_bar=True, sync_dist=True)

    def _keep(self, taken: TakenSteps, every: int) -> None:
        self._last = taken.losses[-1]
        for loss, step in taken.each() if every else ():
            if step and step % every == 0:
                self._waiting.setdefault(step - 1, loss)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the points that were kept, and set the last value for callbacks that monitor it."""
        if self._last is not None:
            pl_module.log(STEP_LOSS, self._last, prog_bar=True, logger=False, sync_dist=True)
        if not self._waiting:
            return
        losses = torch.stack([loss.to(pl_module.device) for loss in self._waiting.values()])
        losses = summed(losses) / trainer.world_size
        for step, loss in zip(self._waiting, losses.tolist(), strict=True):
            for logger in trainer.loggers:
                logger.log_metrics({STEP_LOSS: loss}, step=step)
        self._waiting = {}


class BusyCoresCallback(Callback):
    """Say at the end that fewer threads would have been faster, where other processes kept cores busy at the start.

    The number of threads is not changed: it changes the last bits of gradients, and the same command should give the
    same bits.
    """

    def __init__(self) -> None:
        self._neighbours = Neighbours()
        self._remark = ""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the cores that were free since the command began with the threads that torch uses."""
        if pl_module.device.type != "cpu" or not trainer.is_global_zero:
            return
        threads, busy = torch.get_num_threads(), self._neighbours.busy_cores()
        free = free_threads(threads, busy)
        if free < threads:
            self._remark = (
                f"other programs kept {busy:.1f} of {os.cpu_count()} cores busy: this runs faster after they end, or "
                f"with OMP_NUM_THREADS={free} typed before the command (results then differ in their last digits)"
            )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say it."""
        if self._remark:
            log.info("%s", self._remark)


class LearningRatesCallback(Callback):
    """Log ``lr-<optimizer>/<group>`` at the first step of every epoch, and as often as the loss.

    Lightning's `LearningRateMonitor` logs nothing for a schedule that steps by batches in a run of fewer than
    ``trainer.log_every_n_steps`` steps, does not see the warm-up, and logs a step twice without a schedule. If the user
    adds it, it alone logs.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look for a `LearningRateMonitor` of the user's."""
        module = model_of(trainer)
        self._step = -1
        self._is_second = any(isinstance(callback, LearningRateMonitor) for callback in callbacks_of(trainer))
        warms_up = module.warmup_length or module.freezing.options.unfreeze_warmup_steps
        if self._is_second and warms_up and trainer.is_global_zero:
            log.warning("LearningRateMonitor shows the rates without their warm-up; drop it: fit logs the true ones")

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Log the rates of this batch's step, once a step."""
        module = model_of(trainer)
        step = trainer.fit_loop.epoch_loop._batches_that_stepped  # the step under which Lightning logs
        is_time = batch_idx == 0 or trainer._logger_connector.should_update_logs
        if self._is_second or step == self._step or not is_time:
            return
        self._log(trainer, step, module.rates_in_use())

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Log the rates of the steps that a plain loop has taken on cached features."""
        taken: TakenSteps | None = outputs.get("taken")
        if taken is None or self._is_second:
            return
        for step in taken.logged(logging_interval(trainer)):
            if step > self._step:
                self._log(trainer, step, taken.rates_of(step))

    def _log(self, trainer: Trainer, step: int, rates_by_name: dict[str, float]) -> None:
        self._step, kind = step, type(trainer.optimizers[0]).__name__
        rates = {f"lr-{kind}/{name}": rate for name, rate in rates_by_name.items()}
        trainer.callback_metrics.update({name: torch.tensor(rate) for name, rate in rates.items()})
        for logger in trainer.loggers:
            logger.log_metrics(rates, step=step)
