"""Let ReduceLROnPlateau resume exactly.

Lightning saves at the end of an epoch before the schedulers step. On a resume it makes up for that step, but not for
ReduceLROnPlateau, because the metric is gone by then (fit_loop.py of 2.6.6, ``update_plateau_schedulers``).
"""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.cli import ReduceLROnPlateau

from tlearn.base.errors import TlearnError


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
    progress = trainer.fit_loop.epoch_progress.current
    ends_epoch = progress.processed > progress.completed  # type: ignore[attr-defined]  # typed as its base class
    monitors = [config.monitor for config in trainer.lr_scheduler_configs if config.reduce_on_plateau]
    if not ends_epoch or not monitors or monitors[0] not in trainer.callback_metrics:
        return None
    return float(trainer.callback_metrics[monitors[0]])


def step_pending(trainer: Trainer, metric: float) -> None:
    """Make up for the step that the checkpoint came before."""
    for config in trainer.lr_scheduler_configs:
        if config.reduce_on_plateau:
            config.scheduler.step(metric)  # type: ignore[arg-type]  # a ReduceLROnPlateau, typed as its sibling
