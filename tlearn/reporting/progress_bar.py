"""Lightning's rich bar, with the few numbers that fit beside it, drawn no oftener than an eye follows."""

from __future__ import annotations

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar

_DRAWINGS_PER_S = 10  # Lightning's 100 take 2 % of an epoch of ResNet18 at 32 px


class LeanProgressBar(RichProgressBar):
    """Keep a bar on screen for every epoch, with loss and accuracy: the rest is in TensorBoard."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=_DRAWINGS_PER_S, leave=True)
        self._drawn_s = float("-inf")
        self._validated = -1  # in which epoch, counted from 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar, unless it moved a moment ago."""
        now_s = time.monotonic()
        if now_s - self._drawn_s >= 1 / _DRAWINGS_PER_S or trainer.is_last_batch:
            self._drawn_s = now_s
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Leave out the run's number, which is printed at the end, and what an epoch before has reached."""
        metrics = super().get_metrics(trainer, pl_module)
        old = "v_num" if self._validated == trainer.current_epoch else ("v_num", "val/")
        return {name: value for name, value in metrics.items() if not name.startswith(old)}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show what this epoch has reached."""
        if not trainer.sanity_checking:
            self._validated = trainer.current_epoch
        super().on_validation_end(trainer, pl_module)
