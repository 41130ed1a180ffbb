"""Say when other processes take the cores that training computes with."""

from __future__ import annotations

import logging
import os

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from tlearn.base.machine import Neighbours, free_threads

log = logging.getLogger(__name__)


class BusyCoresCallback(Callback):
    """Warn once, before the first step, where fewer threads would be faster.

    The number is not changed: sums of gradients have other last bits with another, and the same command should give the
    same bits.
    """

    def __init__(self) -> None:
        self._neighbours = Neighbours()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare what was free since the command began with what torch would use."""
        if pl_module.device.type != "cpu" or not trainer.is_global_zero:
            return
        threads, busy = torch.get_num_threads(), self._neighbours.busy_cores()
        free = free_threads(threads, busy)
        if free < threads:
            log.warning(
                "other processes keep %.1f of %d cores busy; %d threads beside them are slower than %d: "
                "OMP_NUM_THREADS=%d before the command (its last bits will differ)",
                *(busy, os.cpu_count(), threads, free, free),
            )
