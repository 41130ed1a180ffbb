"""A line for each epoch of a fit."""

from __future__ import annotations

import time
from typing import ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer

from tlearn.reporting.card.format import duration
from tlearn.reporting.terminal.bar import epoch_of
from tlearn.reporting.terminal.results import scores_of
from tlearn.training.callbacks.stopping import StopCallback
from tlearn.training.module import model_of


class EpochLinesCallback(Callback):
    """Print one line per epoch: ``epoch 3/20  train loss 0.5412 acc 81.2 %  val loss 0.4120 acc 83.0 %  3.2 s``.

    The line is printed when the next epoch starts, because Lightning computes the metrics only after the last hook of
    an epoch.
    """

    before: ClassVar = (StopCallback,)  # which may end the run as soon as an epoch starts

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock of a resumed epoch, which has no `on_train_epoch_start`."""
        if trainer.fit_loop.restarted_mid_epoch:
            self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the last epoch, if this run trained it."""
        self._print(trainer)
        self._started: float | None = time.perf_counter()
        self._epoch = trainer.current_epoch + 1

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the last epoch."""
        self._print(trainer)

    def _print(self, trainer: Trainer) -> None:
        started = getattr(self, "_started", None)
        if started is None or not trainer.is_global_zero:
            return
        module = model_of(trainer)
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        splits = [stage.rstrip("/") for stage in module.evaluation.stages(self._epoch)]
        parts = [f"epoch {epoch_of(trainer, self._epoch)}", *(scores_of(module.task, metrics, each) for each in splits)]
        print("  ".join([*filter(None, parts), duration(time.perf_counter() - started)]), flush=True)
        self._started = None
