"""What averages of the weights begin with."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import Callback, WeightAveraging


@torch.no_grad()
def begin_averages(callbacks: Iterable[Callback], module: LightningModule) -> None:
    """Give averages the network of the first step, which validation shows until they begin.

    Lightning copies it earlier, before a head is solved and values get their unit.

    Args:
        callbacks: The trainer's; others are passed over.
        module: Before its first step.
    """
    for callback in callbacks:
        copy = callback._average_model if isinstance(callback, WeightAveraging) else None
        if copy is not None:
            theirs = itertools.chain(copy.module.parameters(), copy.module.buffers())
            for averaged, own in zip(theirs, itertools.chain(module.parameters(), module.buffers()), strict=True):
                averaged.copy_(own)
