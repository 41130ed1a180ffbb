"""Lightning's rich bar, with the few numbers that fit beside it."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar


class LeanProgressBar(RichProgressBar):
    """Keep a bar on screen for every epoch, with loss and accuracy: the rest is in TensorBoard."""

    def __init__(self) -> None:
        super().__init__(leave=True)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Leave the run's number out: the run folder is printed at the end."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics
