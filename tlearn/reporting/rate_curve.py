"""The learning rates of a run as curves, ``lr-*``."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import LearningRateMonitor


class RateCurveCallback(LearningRateMonitor):
    """Log the rates once a step: Lightning's logs some twice at an epoch's first step."""

    _logged_at = -1

    def on_train_epoch_start(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """Log those of schedules that act once an epoch."""
        self._logged_at = -1
        super().on_train_epoch_start(trainer, *args, **kwargs)

    def on_train_batch_start(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """Log those of schedules that act at every step, unless this step's are written."""
        if trainer.fit_loop.epoch_loop._batches_that_stepped != self._logged_at:
            super().on_train_batch_start(trainer, *args, **kwargs)

    def _extract_stats(self, trainer: Trainer, interval: str) -> dict[str, float]:
        found: dict[str, float] = super()._extract_stats(trainer, interval)
        if found:
            self._logged_at = trainer.fit_loop.epoch_loop._batches_that_stepped
        return found
