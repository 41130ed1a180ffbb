"""The curve of the learning rates that the steps used: in every run, however short."""

from __future__ import annotations

import logging

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor

from tlearn.base.types import Batch
from tlearn.training.module import TransferModule

log = logging.getLogger(__name__)


class LearningRatesCallback(Callback):
    """Log ``lr-<optimizer>/<group>`` at every epoch's first step, and as often as the loss.

    Lightning's LearningRateMonitor leaves a schedule that steps by batches out of a run of fewer than
    ``trainer.log_every_n_steps`` steps, knows no warm-up, and without a schedule writes a step twice. Where the
    user adds that one, it is the only one that writes.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See who else writes."""
        assert isinstance(pl_module, TransferModule)
        self._step = -1
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # typed as an optional list
        self._is_second = any(isinstance(callback, LearningRateMonitor) for callback in callbacks)
        warms_up = pl_module.warmup_length or pl_module.unfreeze_warmup_steps
        if self._is_second and warms_up and trainer.is_global_zero:
            log.warning("LearningRateMonitor shows the rates without their warm-up; drop it: fit logs the true ones")

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Log the rates of the step that this batch belongs to, once a step."""
        assert isinstance(pl_module, TransferModule)
        step = trainer.fit_loop.epoch_loop._batches_that_stepped  # as Lightning counts what it logs
        is_time = batch_idx == 0 or trainer._logger_connector.should_update_logs
        if self._is_second or step == self._step or not is_time:
            return
        self._step, kind = step, type(trainer.optimizers[0]).__name__
        rates = {f"lr-{kind}/{name}": rate for name, rate in pl_module.rates_in_use().items()}
        trainer.callback_metrics.update({name: torch.tensor(rate) for name, rate in rates.items()})
        for logger in trainer.loggers:
            logger.log_metrics(rates, step=step)
