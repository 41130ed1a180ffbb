"""Find a learning rate by a range test that keeps the ratios between parameter groups.

The rate rises from step to step while the loss is watched (Smith, 2017, arXiv 1506.01186). Lightning's own finder sets
all groups to one rate, which would undo ``lr_scales``.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from tlearn.base.errors import TlearnError
from tlearn.base.progress import tracked
from tlearn.models.state import keeping_modes
from tlearn.training.module import TransferModule, model_of
from tlearn.training.optimizer import peak_rates, scale_rates
from tlearn.training.strategies.plain_steps import training_batches, training_step
from tlearn.training.strategies.solved_head import HeadProbeCallback

log = logging.getLogger(__name__)

_STEPS = 100
_LOWEST, _HIGHEST = 1e-7, 10.0  # rates of the fastest group
_SMOOTHING = 0.9
_SETTLING = 10  # steps before the smoothed loss means something
_DIVERGED = 4.0  # times the lowest smoothed loss so far
_EDGE = 3  # if the loss is lowest in the last steps of the range, so many, it had not started to rise


def suggest_rate(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """Return a tenth of the rate at which the smoothed loss is lowest, or ``None`` if the loss never falls.

    At the minimum training is about to diverge; a tenth of it is fastai's rule (Howard and Gugger, 2020). The steepest
    point, the other common rule, is mostly noise if batches are small.

    Args:
        rates: Learning rates in rising order.
        losses: The training loss at each rate.
    """
    smooth = _smoothed(losses)[_SETTLING:]
    if not smooth or min(smooth) >= smooth[0]:
        return None
    return rates[_SETTLING + smooth.index(min(smooth))] / 10


def still_falls(losses: Sequence[float]) -> bool:
    """Tell whether the smoothed loss is lowest at the end of the range, so the rate of divergence is unknown.

    Args:
        losses: The training loss at each rate; fewer if the test ended before.
    """
    smooth = _smoothed(losses)
    return len(losses) == _STEPS and smooth.index(min(smooth)) >= _STEPS - _EDGE


def _smoothed(losses: Sequence[float]) -> list[float]:
    smooth, average = [], 0.0
    for step, loss in enumerate(losses, start=1):
        average = _SMOOTHING * average + (1 - _SMOOTHING) * loss
        smooth.append(average / (1 - _SMOOTHING**step))  # corrects for the start at zero
    return smooth


class LearningRateFinderCallback(Callback):
    """Find the learning rate before the first step and use it. Everything else stays exactly as it was.

    Attributes:
        factor: The factor on the config's rates; ``None`` before the test. A resumed run takes it from its checkpoint.
    """

    after: ClassVar = (HeadProbeCallback,)  # rates are tried with the head that training starts from

    def __init__(self) -> None:
        self.factor: float | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the factor, which the card of a resumed run reports."""
        return {} if self.factor is None else {"factor": self.factor}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the factor of the run that is resumed."""
        self.factor = state_dict["factor"]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Tell the network that its rates are not those of the options."""
        module = model_of(trainer)
        module.finds_rates = True

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let the next run of this network use the rates of its options."""
        module = model_of(trainer)
        module.finds_rates = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Run the test on training batches, and set the rate in optimizer and scheduler.

        Raises:
            TlearnError: The loss falls at no rate, or still falls at the highest one.
        """
        module = model_of(trainer)
        if trainer.global_step > 0:
            return  # a resumed run has found it already
        with keeping_modes(module):
            rates, losses = _range_test(trainer, module)
        rate = suggest_rate(rates, losses)
        if rate is None:
            raise TlearnError("find_lr: the loss falls at no learning rate; set model.optimizer.init_args.lr yourself")
        if still_falls(losses):
            raise TlearnError(
                f"find_lr: the loss still falls at {rates[-1]:.3g}, the highest rate that was tried, which tells of no "
                "rate to train with; set model.optimizer.init_args.lr yourself"
            )
        optimizer = trainer.optimizers[0]
        schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
        self.factor = rate / max(peak_rates(optimizer.param_groups, schedulers))
        scale_rates(optimizer.param_groups, schedulers, [self.factor] * len(optimizer.param_groups))
        found = ", ".join(f"{group['name']} {group['lr']:.2e}" for group in optimizer.param_groups)
        log.info("find_lr: %.3g times the config's rates after %d steps: %s", self.factor, len(losses), found)
        _say_what_was_closed(module, trainer.current_epoch)
        for logger in trainer.loggers:
            logger.log_metrics({f"found_lr/{g['name']}": g["lr"] for g in optimizer.param_groups}, step=0)


def _say_what_was_closed(module: TransferModule, epoch: int) -> None:
    closed = dict.fromkeys(
        rule.pattern for rule in module.rules.values() if rule.lr_scale is not None and not rule.trains_in(epoch)
    )
    if closed:
        log.warning(
            "find_lr tried its rates while %s did not train: what opens later has no rate of its own that was tried; "
            "model.lr_scales lowers it",
            ", ".join(closed),
        )


def _range_test(trainer: Trainer, module: TransferModule) -> tuple[list[float], list[float]]:
    state = deepcopy(module.state_dict())
    random = torch.get_rng_state()
    optimizer = trainer.optimizers[0]
    optimizer_state = deepcopy(optimizer.state_dict())
    given = [group["lr"] for group in optimizer.param_groups]
    rates, losses = [], list[float]()
    try:
        rising = tracked(_spaced_rates(), "find_lr", _STEPS, "steps")
        for rate, batch in zip(rising, training_batches(trainer, module), strict=False):
            for group, own in zip(optimizer.param_groups, given, strict=True):
                group["lr"] = rate * own / max(given)
            loss = training_step(trainer, module, optimizer, batch)
            if not math.isfinite(loss):
                break
            rates.append(rate)
            losses.append(loss)
            smooth = _smoothed(losses)[_SETTLING:]
            if smooth and smooth[-1] > _DIVERGED * min(smooth):
                break
    finally:
        optimizer.zero_grad(set_to_none=True)
        optimizer.state.clear()
        optimizer.load_state_dict(optimizer_state)
        module.load_state_dict(state)
        torch.set_rng_state(random)
    return rates, losses


def _spaced_rates() -> Iterator[float]:
    low, high = math.log(_LOWEST), math.log(_HIGHEST)
    for step in range(_STEPS):
        yield math.exp(low + (high - low) * step / (_STEPS - 1))
