"""How many training images a second, those of all processes, without validation and reporting."""

from __future__ import annotations

import time

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from tlearn.base.processes import summed
from tlearn.base.types import Batch


class ThroughputCallback(Callback):
    """Log ``train/images_per_s`` once an epoch."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start counting: an epoch that is gone on with does not start; its rate is that of what was left of it."""
        self._start()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start counting."""
        self._start()

    def _start(self) -> None:
        self._images, self._pause_s, self._start_s = 0, 0.0, time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Batch, batch_idx: int
    ) -> None:
        """Count a batch."""
        self._images += len(batch.images)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock."""
        self._validation_start_s = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the clock go on."""
        if not trainer.sanity_checking and trainer.training:
            self._pause_s += time.perf_counter() - self._validation_start_s

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the epoch's rate in images/s."""
        time_s = time.perf_counter() - self._start_s - self._pause_s
        images = summed(torch.tensor(float(self._images), device=pl_module.device))
        pl_module.log("train/images_per_s", images / time_s)
