"""Plain training steps outside Lightning's loop, for measurements.

They use the loss, precision, optimizer and clipping of the run, but neither gradient accumulation nor L2-SP.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch import Trainer

from tlearn.base.types import Batch
from tlearn.training.module import TransferModule
from tlearn.training.typed import images_of


def training_batches(trainer: Trainer, module: TransferModule) -> Iterator[Batch]:
    """Yield training batches on the module's device, epoch after epoch, forever."""
    loader = images_of(trainer, "this").train_dataloader()
    sampler: Any = loader.sampler  # typed as any iterable
    epoch = 0
    while True:
        sampler.set_epoch(epoch)
        for batch in loader:
            yield Batch(*(part.to(module.device) for part in batch))
        epoch += 1


def training_step(trainer: Trainer, module: TransferModule, optimizer: torch.optim.Optimizer, batch: Batch) -> float:
    """Take one step, without changing the module's train or eval mode, and return the loss."""
    optimizer.zero_grad(set_to_none=True)
    with trainer.precision_plugin.forward_context():
        loss = module.batch_loss(module(batch.images), batch)
    loss.backward()
    module.configure_gradient_clipping(optimizer, trainer.gradient_clip_val, trainer.gradient_clip_algorithm)
    optimizer.step()
    return float(loss.detach())
