"""The loss between epochs: a curve of its own, and the number beside the progress bar."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from tlearn.base.processes import summed
from tlearn.base.types import Batch
from tlearn.training.module import TransferModule

NAME = "train/loss_step"


class StepLossCallback(Callback):
    """Log ``train/loss_step`` at every ``trainer.log_every_n_steps`` steps, as the tutorial prints it.

    While the head trains on cached features its points are written once an epoch: to log one takes as long as a step.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, Tensor] = {}
        self._last: Tensor | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint inside an epoch keeps: the points not yet written, and the newest loss."""
        return {"waiting": self._waiting, "last": self._last} if self._last is not None else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them up again."""
        self._waiting, self._last = state_dict["waiting"], state_dict["last"]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Log the loss of this batch, or keep it."""
        assert isinstance(pl_module, TransferModule)
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]  # set outside its class
        step = trainer.global_step
        weight = pl_module.loss_weight
        loss = outputs["loss"] * trainer.accumulate_grad_batches  # which Lightning has divided it by
        loss = self._last = loss if weight is None else loss * weight
        if not every or not step or step % every:
            return
        if pl_module.takes_features:
            self._waiting.setdefault(step - 1, loss)
        else:
            pl_module.log(NAME, loss, prog_bar=True, sync_dist=True)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what was kept; the epoch's last value is there to be monitored."""
        if self._last is not None:
            pl_module.log(NAME, self._last, prog_bar=True, logger=False, sync_dist=True)
        if not self._waiting:
            return
        losses = torch.stack([loss.to(pl_module.device) for loss in self._waiting.values()])
        losses = summed(losses) / trainer.world_size
        for step, loss in zip(self._waiting, losses.tolist(), strict=True):
            for logger in trainer.loggers:
                logger.log_metrics({NAME: loss}, step=step)
        self._waiting = {}
