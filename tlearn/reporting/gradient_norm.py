"""How large the gradient is: it tells a rate that is too high, and a network that has stopped learning."""

from __future__ import annotations

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from tlearn.training.module import TransferModule

NAME = "train/grad_norm"


class GradientNormCallback(Callback):
    """Log ``train/grad_norm``, the Euclidean norm over all that trains, before any clipping.

    It is taken at every ``trainer.log_every_n_steps`` steps; while the head trains on cached features once an epoch, as
    a norm takes a tenth of such a step.
    """

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Take and log the norm, if this step's is wanted."""
        assert isinstance(pl_module, TransferModule)
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]  # set outside its class
        once = pl_module.takes_features
        wanted = trainer.is_last_batch if once else every and (trainer.global_step + 1) % every == 0
        if not wanted:
            return
        self._norm = total_norm(optimizer)
        if not once:
            pl_module.log(NAME, self._norm)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the norm of an epoch on features."""
        assert isinstance(pl_module, TransferModule)
        if pl_module.takes_features and hasattr(self, "_norm"):
            pl_module.log(NAME, self._norm)


def total_norm(optimizer: Optimizer) -> Tensor:
    """Return the norm of all gradients that an optimizer is about to use, a scalar."""
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    return get_total_norm(gradients) if gradients else torch.tensor(0.0)
