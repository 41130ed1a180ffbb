"""Run the network over a split as it stands, without changing anything. N images, D features, K outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

from tlearn.models import TransferModule

_BATCH_SIZE = 256  # the fastest on a CPU, and small enough for a GPU


@contextmanager
def keeping_modes(module: nn.Module) -> Iterator[None]:
    """Put every part of a module back into its own mode, training or eval, afterwards."""
    modes = {part: part.training for part in module.modules()}
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module in eval mode without gradients; every part of it is in its own mode again afterwards."""
    with keeping_modes(module), torch.no_grad():
        module.eval()
        yield


def run_over_split(
    trainer: Trainer, module: TransferModule, split: str, compute: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Compute something for every image of a split, never augmented, in the trainer's precision.

    Args:
        trainer: Gives the data and the precision.
        module: Gives the device; it is in eval mode meanwhile.
        split: ``train`` or ``val``.
        compute: Turns images (B, 3, H, W) into rows (B, ...).

    Returns:
        The rows as float32 (N, ...), and the targets (N,) or (N, 1), both on the CPU.
    """
    images = trainer.datamodule.dataset(split)  # type: ignore[attr-defined]  # an ImageDataModule, set by fit
    rows = []
    with evaluating(module), trainer.precision_plugin.forward_context():
        for indices in images.indices.split(_BATCH_SIZE):
            rows.append(compute(images.images[indices].to(module.device)).float().cpu())
    return torch.cat(rows), images.targets[images.indices]
