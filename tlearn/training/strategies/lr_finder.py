"""Find a learning rate by a range test that keeps the ratios between groups.

Raise the rate from step to step and watch the loss (Smith, 2017, arXiv 1506.01186). Lightning's own finder sets every
group to one rate, and so undoes ``lr_scales``.
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
_EDGE = 3  # a loss that is lowest in so many last steps of the range had not turned


def suggest_rate(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """Return a tenth of the rate at which the smoothed loss is lowest, or ``None`` where it never falls.

    The minimum is where training is about to diverge; a tenth of it is fastai's rule (Howard and Gugger, 2020). The
    steepest point, the other common rule, is mostly noise when batches are small.

    Args:
        rates: Rising.
        losses: The training loss at each.
    """
    smooth = _smoothed(losses)[_SETTLING:]
    if not smooth or min(smooth) >= smooth[0]:
        return None
    return rates[_SETTLING + smooth.index(min(smooth))] / 10


def still_falls(losses: Sequence[float]) -> bool:
    """Tell whether the smoothed loss is lowest at the range's end, so that nothing shows where training diverges.

    Args:
        losses: The training loss at each rate of the range; fewer where the test ended before.
    """
    smooth = _smoothed(losses)
    return len(losses) == _STEPS and smooth.index(min(smooth)) >= _STEPS - _EDGE


def _smoothed(losses: Sequence[float]) -> list[float]:
    smooth, average = [], 0.0
    for step, loss in enumerate(losses, start=1):
        average = _SMOOTHING * average + (1 - _SMOOTHING) * loss
        smooth.append(average / (1 - _SMOOTHING**step))  # without the pull of the first zero
    return smooth


class LearningRateFinderCallback(Callback):
    """Find the rate before the first step, use it, and leave everything else exactly as it was.

    Attributes:
        factor: What it multiplied the config's rates with; ``None`` before. A resumed run has it from its checkpoint.
    """

    after: ClassVar = (HeadProbeCallback,)  # rates are tried with the head that training starts from

    def __init__(self) -> None:
        self.factor: float | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps, for the card of the run that goes on."""
        return {} if self.factor is None else {"factor": self.factor}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it up again."""
        self.factor = state_dict["factor"]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let the network know that its rates are not those given."""
        module = model_of(trainer)
        module.finds_rates = True

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let another run of this network keep to what is given."""
        module = model_of(trainer)
        module.finds_rates = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Run the test on training batches; the found rate goes into optimizer, scheduler and log.

        Raises:
            TlearnError: The loss falls at no rate, or at all.
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
        for rate, batch in zip(_spaced_rates(), training_batches(trainer, module), strict=False):
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
