"""Let the last window of gradient accumulation count as the batches that it has.

Lightning 2.6.6 divides every batch's loss by ``accumulate_grad_batches`` (automatic.py, ``_training_step``), and steps
at an epoch's last batch whether the window is full or not: the gradient of one that lacks batches is too small.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, GradientAccumulationScheduler
from torch import Tensor


def window_factor(batches_done: int, window: int) -> float:
    """Return what makes the sum of an epoch's last window a mean: its full length over the batches that it has.

    Args:
        batches_done: Batches of the epoch so far, the last one included.
        window: ``accumulate_grad_batches``.
    """
    return window / (batches_done % window or window)


def missing_factor(trainer: Trainer) -> float:
    """Return the factor of the window that the batch at hand closes; 1 for a full one, and before the last batch."""
    loop = trainer.fit_loop.epoch_loop
    if not loop._num_ready_batches_reached():
        return 1.0
    return window_factor(loop.batch_progress.current.ready, trainer.accumulate_grad_batches)


def scale_gradients(parameters: Iterable[Tensor], factor: float) -> None:
    """Multiply the gradients that there are, in place."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if gradients:
        torch._foreach_mul_(gradients, factor)


def window_in(trainer: Trainer, epoch: int) -> int:
    """Return how many batches a step has in this epoch, counted from 0: a callback may change it."""
    schedule = _schedule(trainer)
    return schedule.get_accumulate_grad_batches(epoch) if schedule else trainer.accumulate_grad_batches


def steps_before(trainer: Trainer, epoch: int, batches: float) -> int:
    """Count the steps of the optimizer in the epochs before this one.

    Args:
        trainer: Its accumulation.
        epoch: Counted from 0.
        batches: Training batches of an epoch.
    """
    if (schedule := _schedule(trainer)) is None:
        return epoch * math.ceil(batches / trainer.accumulate_grad_batches)
    return sum(math.ceil(batches / schedule.get_accumulate_grad_batches(each)) for each in range(epoch))


def _schedule(trainer: Trainer) -> GradientAccumulationScheduler | None:
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # typed as an optional list
    return next((each for each in callbacks if isinstance(each, GradientAccumulationScheduler)), None)
