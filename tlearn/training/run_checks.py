"""Checks of a run before it starts: length of the schedule, modes of monitors, callbacks that cannot work."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import BatchSizeFinder, LearningRateFinder
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    SequentialLR,
    StepLR,
)

from tlearn.base.errors import TlearnError
from tlearn.base.program import program
from tlearn.training.exact_resume import steps_before, window_in
from tlearn.training.options import RateOptions
from tlearn.training.typed import is_trial

log = logging.getLogger(__name__)

_OPTION = "model.lr_scheduler.init_args"

# Scheduler to what it needs before it has done anything, or all, that it is there for.
_ENDS: dict[type[LRScheduler], tuple[str, Callable[[Any], int]]] = {
    StepLR: ("step_size", lambda s: int(s.step_size) + 1),
    MultiStepLR: ("milestones", lambda s: max(s.milestones, default=0) + 1),
    SequentialLR: ("milestones", lambda s: max(s._milestones, default=0) + 1),
    LinearLR: ("total_iters", lambda s: int(s.total_iters)),
    ConstantLR: ("total_iters", lambda s: int(s.total_iters)),
    PolynomialLR: ("total_iters", lambda s: int(s.total_iters)),
    CosineAnnealingWarmRestarts: ("T_0", lambda s: int(s.T_0)),
    CyclicLR: ("step_size_up", lambda s: math.ceil(s.total_size)),
}


@dataclass(frozen=True)
class RunLength:
    """How long a run will be, at most: ``max_time`` or a callback may end it before.

    Attributes:
        epochs: ``None`` for a run without a number of them.
        steps: Of the optimizer; ``None`` where it cannot be told.
        steps_per_epoch: Likewise, and where epochs differ.
    """

    epochs: int | None
    steps: int | None
    steps_per_epoch: int | None


def length_of(trainer: Trainer, batches: float | None) -> RunLength:
    """Work out the length of a run.

    Args:
        trainer: Its epochs, steps, limit of batches and accumulation.
        batches: Training batches of an epoch, without the limit; ``None`` or infinite where nobody knows.
    """
    limit: int | float = trainer.limit_train_batches
    known = batches is not None and batches != math.inf
    limited = 0.0 if not known else min(batches or 0, limit) if isinstance(limit, int) else int((batches or 0) * limit)
    epochs = trainer.max_epochs if trainer.max_epochs is not None and trainer.max_epochs >= 0 else None
    steps = steps_before(trainer, epochs, limited) if known and epochs is not None else None
    if trainer.max_steps >= 0:
        steps = trainer.max_steps if steps is None else min(steps, trainer.max_steps)
        epochs = _epochs_of(trainer, steps, limited) if limited else epochs
    per_epoch = {window_in(trainer, epoch) for epoch in range(epochs or 1)}
    even = known and len(per_epoch) == 1
    return RunLength(epochs, steps, steps_before(trainer, 1, limited) if even else None)


def _epochs_of(trainer: Trainer, steps: int, batches: float) -> int:
    """Count the epochs that so many steps begin."""
    epochs = steps // max(steps_before(trainer, 1, batches), math.ceil(batches))
    while steps_before(trainer, epochs, batches) < steps:
        epochs += 1
    return epochs


def check_length(scheduler: Any, interval: str, length: RunLength, resumed: str | None = None) -> list[str]:
    """Say what of a schedule the run will not come to.

    Args:
        scheduler: One of torch's; others are passed over.
        interval: ``step`` or ``epoch``: what the scheduler counts.
        length: The run's.
        resumed: The checkpoint that it goes on from.

    Returns:
        Lines of warning.

    Raises:
        TlearnError: The schedule ends before the run does, which torch refuses at the step after its last.
    """
    units = length.steps if interval == "step" else length.epochs
    if isinstance(scheduler, OneCycleLR):
        return _one_cycle(int(scheduler.total_steps), interval, units, length, resumed)
    if units is None:
        return []
    if isinstance(scheduler, CosineAnnealingLR):
        return _cosine(int(scheduler.T_max), interval, units, length)
    option, needs = _ENDS.get(type(scheduler), ("", lambda _: 0))
    wanted = needs(scheduler)
    if wanted <= units:
        return []
    return [
        f"{type(scheduler).__name__} with its {option} needs a run of {wanted} {interval}s, this one takes {units}: it "
        f"does not come to its end{_hint(wanted, interval, length)}"
    ]


def check_lengths(trainer: Trainer, batches: float, config: dict[str, Any] | None, rates: RateOptions) -> None:
    """Compare scheduler and warm-up with the length of the run, and warn of what does not fit; a trial's says nothing.

    Args:
        trainer: Of the run.
        batches: Training batches of an epoch.
        config: Lightning's config of the scheduler, if there is one.
        rates: Options of the warm-up.

    Raises:
        TlearnError: The schedule ends before the run does.
    """
    if is_trial(trainer):
        return
    length = length_of(trainer, batches)
    lines = []
    resumed = str(trainer.ckpt_path) if trainer.ckpt_path else None
    if config is not None:
        lines += check_length(config["scheduler"], config["interval"], length, resumed)
    lines += check_warm_up_length(rates.warmup_steps, rates.warmup_epochs, length)
    for line in lines if trainer.is_global_zero else ():
        log.warning(line)


def check_warm_up_length(steps: int | None, epochs: int | None, length: RunLength) -> list[str]:
    """Say that a warm-up never comes to its end.

    Args:
        steps: ``model.warmup_steps``.
        epochs: ``model.warmup_epochs``.
        length: The run's.

    Returns:
        Lines of warning.
    """
    for given, own, word in ((steps, length.steps, "steps"), (epochs, length.epochs, "epochs")):
        if given and own is not None and given >= own:
            return [f"model.warmup_{word} is {given}, the run takes {own} {word}: it never trains at its full rate"]
    return []


def _one_cycle(total: int, interval: str, units: int | None, length: RunLength, resumed: str | None) -> list[str]:
    if units is None:
        return [f"OneCycleLR fails after its {total} {interval}s; set trainer.max_{interval}s {total}, or less"]
    if units > total and resumed:
        raise TlearnError(
            f"OneCycleLR's cycle ends after {total} {interval}s, and the run would go on to {units}: a cycle cannot be "
            f"prolonged; begin a new one from the weights: --model.weights {resumed} (without --ckpt_path), with "
            "total_steps of its own"
        )
    if units > total:
        raise TlearnError(
            f"OneCycleLR ends after {total} {interval}s, the run takes {units}{_in_words(interval, length)}: set "
            f"{_OPTION}.total_steps to {units}"
        )
    if units < total:
        return [
            f"OneCycleLR comes down after {total} {interval}s, and the run ends after {units}"
            f"{_in_words(interval, length)}: set {_OPTION}.total_steps to {units}"
        ]
    return []


def _cosine(t_max: int, interval: str, units: int, length: RunLength) -> list[str]:
    if t_max == units:
        return []
    what = "rises again after" if t_max < units else "is at its lowest only after"
    return [
        f"CosineAnnealingLR {what} T_max {t_max} {interval}s, and the run takes {units}{_in_words(interval, length)}: "
        f"set {_OPTION}.T_max to {units}{_hint(t_max, interval, length)}"
    ]


def _in_words(interval: str, length: RunLength) -> str:
    if interval == "epoch" or not length.steps_per_epoch:
        return ""
    return f" ({length.steps_per_epoch} an epoch)"


def _hint(wanted: int, interval: str, length: RunLength) -> str:
    """A number of steps where epochs are counted is the usual slip."""
    if interval == "epoch" and length.epochs is not None and length.steps is not None and wanted > length.epochs:
        return f"; it counts epochs: for the run's {length.steps} steps set model.lr_interval to step"
    return ""


_LOWER = ("loss", "mae", "mse", "rmse", "ece", "nll", "brier")
_HIGHER = ("acc", "f1", "map", "r2", "auroc", "precision", "recall")


def better_mode(metric: str) -> Literal["min", "max"] | None:
    """Return whether less or more of a metric is better; ``None`` where that cannot be told, as for a temperature.

    Args:
        metric: As it is logged, ``val/acc_macro`` for instance: its first word behind the stage tells.
    """
    word = metric.rpartition("/")[2].split("_")[0]
    return "min" if word in _LOWER else "max" if word in _HIGHER else None


def check_monitor_modes(owners: Iterable[Any]) -> None:
    """Check all that have a ``monitor`` and a ``mode``: EarlyStopping, ModelCheckpoint, ReduceLROnPlateau.

    Args:
        owners: Callbacks and schedulers; others are passed over.

    Raises:
        TlearnError: One looks the wrong way, as all three do by default with a metric of which more is better.
    """
    for owner in owners:
        monitor, mode = getattr(owner, "monitor", None), getattr(owner, "mode", None)
        wanted = better_mode(monitor) if isinstance(monitor, str) else None
        if wanted is not None and mode in ("min", "max") and mode != wanted:
            more, takes = ("more", "the lowest") if wanted == "max" else ("less", "the highest")
            raise TlearnError(
                f"{type(owner).__name__} monitors {monitor}, of which {more} is better, with mode {mode}: it would "
                f"take {takes} for the best; set its mode to {wanted}"
            )


def check_finders(callbacks: Iterable[Callback]) -> None:
    """Say what to use in their place.

    Raises:
        TlearnError: There is one of them.
    """
    for callback in callbacks:
        if isinstance(callback, LearningRateFinder):
            raise TlearnError(
                "LearningRateFinder gives every group of parameters one rate; drop it and use --find_lr (from Python "
                "tlearn.callbacks_for(model, find_lr=True)), which keeps the ratios of model.lr_scales"
            )
        if isinstance(callback, BatchSizeFinder):
            raise TlearnError(
                "BatchSizeFinder would train with another batch_size than the config says; drop it and set "
                f"data.init_args.batch_size ({program()} plan tells the memory that it takes). --find_lr is what "
                "finds a rate"
            )
