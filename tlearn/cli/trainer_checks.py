"""Refuse, before a run begins, what a trainer cannot do."""

from __future__ import annotations

import logging
import os
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy

from tlearn.base.errors import TlearnError
from tlearn.cli.launched import check_launch, launch_of
from tlearn.training.module import TransferModule

log = logging.getLogger(__name__)


def check_clipping(value: float | None) -> None:
    """Refuse a bound that gradients cannot be clipped to: Lightning 2.6 clips nothing below 0, and NaN makes them NaN.

    Raises:
        TlearnError: It is below 0, or no number.
    """
    if value is not None and not value >= 0:
        raise TlearnError(f"trainer.gradient_clip_val: expected a number from 0 on, got {value}")


def check_without_validation(model: TransferModule, chooses: bool) -> None:
    """Check a run without validation images, and warn of what it lacks.

    Args:
        model: Its model.
        chooses: The verb compares runs on validation images.

    Raises:
        TlearnError: An option needs validation images.
    """
    wants = {
        "the comparison": chooses,
        f"model.head_solver {model.head_start.head_solver}": model.head_start.head_solver != "sgd",
        "model.head_init probe": model.head_start.solves_head,
    }
    if what := next((what for what, is_so in wants.items() if is_so), None):
        raise TlearnError(
            "there are no validation images (data.init_args.val_fraction is 0), by which "
            f"{what} chooses; set val_fraction above 0, or drop it"
        )
    log.warning(
        "nothing validates (data.init_args.val_fraction is 0): no epoch is the best, last.ckpt is the result; no "
        "temperature is fitted, nothing can stop early, and accuracies are those of training images"
    )


def check_started_together(trainer: Trainer, can_divide: bool) -> None:
    """Check that a launcher has started as many processes as the trainer expects.

    Args:
        trainer: The trainer.
        can_divide: The verb can be divided among processes.

    Raises:
        TlearnError: It has started another number.
    """
    cluster = getattr(trainer.strategy, "cluster_environment", None)  # a strategy for one process has none
    joins = cluster and cluster.creates_processes_externally
    processes = trainer.num_devices * trainer.num_nodes  # world_size is what the launcher says
    check_launch(launch_of(os.environ), processes, joins, can_divide)


def check_processes(trainer: Trainer, command: str, can_divide: bool, finds_rate: bool) -> None:
    """Check a run of several processes.

    Args:
        trainer: The trainer.
        command: The command as it was typed.
        can_divide: The verb can be divided among processes.
        finds_rate: The run begins with a range test.

    Raises:
        TlearnError: The verb, the strategy or the range test needs a single process.
    """
    strategy: Any = trainer.strategy
    kind = type(strategy)
    if not can_divide:
        raise TlearnError(
            f"{command}: this runs on one device, fit, validate, test and predict on several; set trainer.devices to 1"
        )
    if kind is not DDPStrategy or strategy._start_method != "popen":
        raise TlearnError(f"several devices run as processes that --trainer.strategy ddp starts; got {kind.__name__}")
    if finds_rate:
        raise TlearnError(
            "find_lr runs on one device; batch_size counts the images of all devices, so a rate found there holds "
            "here: set model.optimizer.init_args.lr to it"
        )
