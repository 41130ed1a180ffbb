"""Stopwatches for a Lightning run, given on the command line.

``--trainer.callbacks+=benchmarks.epoch_clock.EpochClock``
"""

from __future__ import annotations

from time import perf_counter
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class EpochClock(Callback):
    """Note images per second of each training epoch, validation and checkpoints left out.

    From ``on_train_epoch_start`` to the end of the last batch: Lightning validates before ``on_train_epoch_end``.
    """

    rates: ClassVar[list[float]] = []
    """Images per second, one figure an epoch. Of the class, since the command line makes the object."""

    def __init__(self) -> None:
        """Start with no image seen."""
        self.images = 0
        self.start_s = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the watch."""
        self.images = 0
        self.start_s = perf_counter()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the batch; stop the watch at the epoch's last."""
        taken = outputs.get("taken")  # of a head on cached features: all steps since the last call
        self.images += taken.images if taken else len(batch[0])
        if trainer.is_last_batch:
            if pl_module.device.type == "cuda":
                torch.cuda.synchronize()
            self.rates.append(self.images / (perf_counter() - self.start_s))


class FitClock(Callback):
    """Note when the data were read, when training began and when it ended."""

    ready_s: ClassVar[float] = 0.0
    """Before features are computed or fetched."""
    began_s: ClassVar[float] = 0.0
    ended_s: ClassVar[float] = 0.0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that network and data are ready."""
        FitClock.ready_s = perf_counter()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the beginning."""
        FitClock.began_s = perf_counter()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the end."""
        FitClock.ended_s = perf_counter()
