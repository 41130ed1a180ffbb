"""Time what epochs will take: steps and validation on images, on maps of frozen stages, or on features."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import mean
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Trainer

from tlearn.base.progress import Progress
from tlearn.base.types import Batch
from tlearn.models.state import evaluating
from tlearn.training.module import TransferModule
from tlearn.training.strategies.feature_cache import map_phases
from tlearn.training.strategies.kept.maps import BorderMaps, Phase
from tlearn.training.strategies.plain_steps import training_batches, training_step
from tlearn.training.typed import data_of

log = logging.getLogger(__name__)

_WARM_STEPS, _TIMED_STEPS, _TIMED_S = 3, 40, 8.0


class EpochTimes(NamedTuple):
    """What epochs take.

    Attributes:
        each_s: Seconds of every epoch with its validation.
        maps_s: Seconds of the passes over all images that make the maps of frozen stages; 0 without them.
    """

    each_s: list[float]
    maps_s: float


def epoch_times(trainer: Trainer, module: TransferModule, epochs: int, forward_s: float, cached: int) -> EpochTimes:
    """Time a step of every phase: on features in the first ``cached`` epochs, else on maps where they are kept.

    Args:
        trainer: Is about to take its first step.
        module: Is trained for these steps.
        epochs: How many there will be.
        forward_s: Seconds of a batch of images without gradients.
        cached: Epochs from the first on that train the head alone.
    """
    batches, optimizer = training_batches(trainer, module), trainer.optimizers[0]
    held, data = next(batches), data_of(trainer)
    validated = min(data.batch_size, len(data.dataset("val"))) if data.validates else data.batch_size  # as forward_s
    opening = {rule.from_epoch for rule in module.rules.values() if rule.lr_scale is not None}
    phases = map_phases(trainer, module)[0]
    starts = opening | {phase.start for phase in phases} | {0}
    training, val = trainer.num_training_batches, sum(int(count) for count in trainer.num_val_batches)
    passes = training * module.caching.cache_views + val
    step_s, val_s, maps_s, times = 0.0, 0.0, 0.0, list[float]()
    for epoch in range(epochs):
        if epoch in starts:
            module.open_stages(epoch)
            served, val_s = batches, 0.0 if epoch < cached else forward_s
            if epoch < cached:
                served = _zeros(held, torch.zeros(len(held.images), module.backbone.num_features).to(module.device))
            elif maps := _maps(trainer, module, phases, epoch):
                module.border, zeros = maps.border, maps.zeros(len(held.images))
                served, val_s = (
                    _zeros(held, zeros),
                    _without_gradients(trainer, module, zeros[:validated], "timing validation"),
                )
                maps_s += passes * max(0.0, forward_s - val_s)
            step = partial(_step, trainer, module, optimizer, served)
            step_s = _mean_time(step, f"timing epoch {epoch + 1}")
            module.border = None
        validates = trainer.enable_validation and (epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0
        times.append(step_s * training + val_s * val * validates)
    return EpochTimes(times, maps_s)


def forward_time(trainer: Trainer, module: TransferModule) -> float:
    """Return the seconds of a batch of images without gradients."""
    data = data_of(trainer)
    loader: Any = data.val_dataloader() if data.validates else data.train_dataloader()
    batch = next(iter(loader))
    return _without_gradients(trainer, module, batch.images.to(module.device), "timing validation")


def _without_gradients(trainer: Trainer, module: TransferModule, images: torch.Tensor, what: str) -> float:
    with evaluating(module), trainer.precision_plugin.forward_context():
        return _mean_time(lambda: module(images), what)


def _maps(trainer: Trainer, module: TransferModule, phases: list[Phase], epoch: int) -> BorderMaps | None:
    """Return what an epoch will train on in place of images; ``None`` for images."""
    stage = next((phase.stage for phase in phases if phase.start <= epoch < phase.end), None)
    maps = BorderMaps(trainer, module, stage) if stage else None
    if maps and (reason := maps.too_large()):
        log.warning("%s: the frozen stages run anew in every epoch", reason)
        return None
    return maps


def _step(trainer: Trainer, module: TransferModule, optimizer: torch.optim.Optimizer, served: Iterator[Batch]) -> float:
    return training_step(trainer, module, optimizer, next(served))


def _zeros(held: Batch, rows: torch.Tensor) -> Iterator[Batch]:
    """Yield a batch of zeros in place of images: the values do not matter for the time, and nothing is decoded."""
    return itertools.repeat(held._replace(images=rows))


def _mean_time(work: Callable[[], object], what: str) -> float:
    """Return the mean seconds of a call, of as many as fit into some seconds."""
    times: list[float] = []
    with Progress(what, _WARM_STEPS + _TIMED_STEPS, "batches at most") as progress:
        for _ in range(_WARM_STEPS):
            work()
            progress.advance()
        _finish()
        while len(times) < _TIMED_STEPS and sum(times) < _TIMED_S:
            start = time.perf_counter()
            work()
            _finish()
            times.append(time.perf_counter() - start)
            progress.advance()
    return mean(times)  # not the median: what is slow now and then counts in an epoch too


def _finish() -> None:
    """Wait for what a GPU was asked to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
