"""Resume to the same bits: where in an epoch a run stopped, its scheduler's metric, its steps, its accumulation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.cli import ReduceLROnPlateau
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.training.typed import callbacks_of


def finished_epochs(checkpoint: Mapping[str, Any]) -> int:
    """Count the epochs that a checkpoint has behind it; one that it was written in is not among them."""
    return int(checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])


def steps_done(trainer: Trainer) -> bool:
    """Tell whether no gradient waits for the batches to come: only then a checkpoint holds all there is."""
    return not trainer.fit_loop.epoch_loop._should_accumulate()


def progress_of(trainer: Trainer) -> dict[str, bool] | None:
    """Describe where in an epoch a checkpoint is written; ``None`` between two of them."""
    epochs: Any = trainer.fit_loop.epoch_progress.current
    if epochs.started <= epochs.processed:  # its last hooks have begun
        return None
    loop: Any = trainer.fit_loop.epoch_loop
    validates = trainer.validating or loop._should_check_val_fx(trainer.fit_loop._data_fetcher)
    return {"validates": bool(validates), "accumulates": not steps_done(trainer)}


def prepare_resume(checkpoint: dict[str, Any]) -> None:
    """Put what Lightning is about to read into the form that makes it finish the epoch.

    Raises:
        TlearnError: The file was written between two batches of one step, whose gradients it does not hold.
    """
    progress = checkpoint["tlearn"].get("progress")
    if progress is None:
        return
    if progress["accumulates"]:
        raise TlearnError(
            "the checkpoint was written between two batches of one step (trainer.accumulate_grad_batches), whose "
            "gradients it does not hold; resume from another one, as last.ckpt"
        )
    loops = checkpoint["loops"]["fit_loop"]
    batches = loops["epoch_loop.batch_progress"]
    if not progress["validates"] and not batches["is_last_batch"]:
        return
    for counters in (batches["total"], batches["current"]):
        counters["completed"] = counters["processed"]
    if progress["validates"]:
        begun = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
        validation = loops["epoch_loop.val_loop.batch_progress"]
        validation["total"], validation["current"] = begun, dict.fromkeys(begun, 0)
    else:
        loops["epoch_loop.state_dict"]["_batches_that_stepped"] += 1


def end_restart(trainer: Trainer) -> None:
    """Let the epoch that is gone on with end as any other: Lightning would not step its ReduceLROnPlateau."""
    if trainer.fit_loop.restarted_mid_epoch:
        trainer.fit_loop._restarting = False


def monitor_of(scheduler: Any, lr_interval: str | None) -> str:
    """Return the metric that a ReduceLROnPlateau follows.

    Args:
        scheduler: Lightning's, which knows its ``monitor``; torch's does not.
        lr_interval: ``model.lr_interval``.

    Raises:
        TlearnError: No metric is named, or it would be asked for at every step.
    """
    if not isinstance(scheduler, ReduceLROnPlateau):
        raise TlearnError(
            "torch's ReduceLROnPlateau does not say which metric it follows; take lightning.pytorch.cli."
            "ReduceLROnPlateau, with its monitor: val/loss"
        )
    if lr_interval == "step":
        raise TlearnError("ReduceLROnPlateau follows a metric of an epoch; drop model.lr_interval: step")
    return str(scheduler.monitor)


def pending_metric(trainer: Trainer) -> float | None:
    """Return the metric that a ReduceLROnPlateau is about to see, when a checkpoint is written at an epoch's end."""
    progress: Any = trainer.fit_loop.epoch_progress.current  # typed as its base class
    ends_epoch = progress.processed > progress.completed
    monitors = [config.monitor for config in trainer.lr_scheduler_configs if config.reduce_on_plateau]
    if not ends_epoch or not monitors or monitors[0] not in trainer.callback_metrics:
        return None
    return float(trainer.callback_metrics[monitors[0]])


def step_pending(trainer: Trainer, metric: float) -> None:
    """Make up for the step that the checkpoint came before."""
    for config in trainer.lr_scheduler_configs:
        if config.reduce_on_plateau:
            scheduler: Any = config.scheduler  # a ReduceLROnPlateau, typed as its sibling
            scheduler.step(metric)


class TrainedStepsCallback(Callback):
    """Set the trainer's counters to those of the checkpoint before it is validated or tested.

    Lightning leaves them at 0. TensorBoard then takes the run for begun anew, and drops the points after step 0.

    Args:
        epochs: That the checkpoint has behind it.
        steps: Of the optimizer, likewise.
    """

    def __init__(self, epochs: int, steps: int) -> None:
        self.epochs, self.steps = epochs, steps

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set them."""
        self._set(trainer)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set them."""
        self._set(trainer)

    def _set(self, trainer: Trainer) -> None:
        loop: Any = trainer.fit_loop
        loop.epoch_progress.current.completed = max(0, self.epochs - 1)  # Lightning counts the one that it is in,
        loop.epoch_loop._batches_that_stepped = max(0, self.steps - 1)  # and the step, when it logs an epoch
        loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.total.completed = self.steps


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
    return next((each for each in callbacks_of(trainer) if isinstance(each, GradientAccumulationScheduler)), None)
