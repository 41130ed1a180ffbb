"""What an optimizer makes of the network: which stages are open, at which rates, in which step."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import Callback
from torch import nn

from tlearn.base.errors import TlearnError
from tlearn.base.machine import FULL_PRECISION, best_precision, uses_cpu
from tlearn.models.freezing import FreezeSchedule, Rule, hold_frozen_in_eval
from tlearn.models.losses import pull_towards
from tlearn.training.ddp import wrap_anew
from tlearn.training.exact_resume import steps_before
from tlearn.training.optimizer import (
    SharedFunction,
    build_optimizer,
    named_groups,
    rates_that_give_way,
    rising_share,
    starting_rates,
)
from tlearn.training.options import CacheOptions, HeadStartOptions, RateOptions
from tlearn.training.remarks import check_plain
from tlearn.training.run_checks import check_finders, check_lengths, check_monitor_modes
from tlearn.training.steps import SteppingModule
from tlearn.training.typed import callbacks_of, own_data_of

log = logging.getLogger(__name__)


class OptimizedModule(SteppingModule):
    """A network whose stages open by a schedule, and whose learning rates rise in a warm-up.

    Attributes:
        freezing: Decides which parameter trains, from when on, and how fast.
        head_start: Options of where head and backbone start.
        rates: Options of how the learning rates move.
        caching: Options of the feature cache.
        finds_rates: A callback finds the learning rates in this run, so that they need not be those given.
    """

    freezing: FreezeSchedule
    head_start: HeadStartOptions
    rates: RateOptions
    caching: CacheOptions
    finds_rates: bool = False
    _optimizer: SharedFunction
    _lr_scheduler: SharedFunction | None
    _length_is_checked: bool = False

    @property
    def stages(self) -> dict[str, str]:
        """Return the stage of each parameter by name, ``stem``, ``layer1``, ..., ``head``, in the model's order."""
        return self.freezing.stages

    @property
    def rules(self) -> dict[str, Rule]:
        """Return the rule of each parameter by name: whether it trains, from when on, and how fast."""
        return self.freezing.rules

    @property
    def backbone_trains(self) -> bool:
        """Tell whether any parameter of the backbone trains, from the start or later."""
        return self.freezing.trained_by is not None

    @property
    def without_steps(self) -> str:
        """Return the option by which a fit takes no step of an optimizer; empty where it takes some."""
        if self.options.ensemble:
            return "model.ensemble"
        solver = self.head_start.head_solver
        return "" if solver == "sgd" else f"model.head_solver {solver}"

    def fastest_precision(self, accelerator: str) -> str:
        """Return what `best_precision` says of the device, but ``32-true`` for what a CPU trains slower in bfloat16.

        oneDNN takes 20 times as long in bfloat16 as in float32 for the gradient of a strided depthwise convolution by
        its input (findings/torch_bf16_strided_depthwise.sh). So a step of EfficientNet, MobileNet and their like takes
        up to twice as long. Where no gradient goes through them, as for a head on a fixed network, bfloat16 is faster.

        Args:
            accelerator: What ``--trainer.accelerator`` says.
        """
        trains = False
        for path, part in self.backbone.named_modules(prefix="backbone"):
            names = (f"{path}.{name}" for name, _ in part.named_parameters(recurse=False))
            trains = trains or any(self.rules[name].lr_scale is not None for name in names)
            if trains and uses_cpu(accelerator) and _is_strided_depthwise(part):
                return FULL_PRECISION
        return best_precision(accelerator)

    def meet_pictures(self) -> None:
        """Check the run's pictures, and what the options ask of them.

        Raises:
            TlearnError: They cannot serve it.
        """
        super().meet_pictures()
        if self._trainer is not None and self._trainer.state.fn == "fit":
            check_plain(self._trainer, self.head_start, self.caching, self.finds_rates)

    def open_stages(self, epoch: int) -> None:
        """Let the parameters train that their rules open in this epoch, counted from 0; see `FreezeSchedule`."""
        if self.freezing.open_stages(self, epoch):
            self.train()
            if self._trainer is not None:
                wrap_anew(self._trainer)
        hold_frozen_in_eval(self)

    def configure_optimizers(self) -> Any:
        """Build the optimizer and its scheduler, and check what the run makes of them.

        Raises:
            TlearnError: A callback or the scheduler takes the worst value of its metric for the best, or the scheduler
                ends before the run.
        """
        configured = self.build_optimizer()
        self._given_rates = starting_rates(configured["optimizer"] if isinstance(configured, dict) else configured)
        config = configured["lr_scheduler"] if isinstance(configured, dict) else None
        if self._trainer is not None:
            schedulers = [config["scheduler"]] if config else []
            check_monitor_modes([*callbacks_of(self._trainer), *schedulers])
            data = own_data_of(self._trainer)
            self._length_is_checked = data is not None
            if data is not None:
                check_lengths(self._trainer, data.train_batches, config, self.rates)
        return configured

    def build_optimizer(self) -> Any:
        """Build the optimizer on the groups that the rules make, frozen parameters in none of them.

        Raises:
            TlearnError: Options of the rate that exclude each other, or would do nothing.
        """
        self.rates.check_for(self.head_start.head_solver, self._lr_scheduler is not None)
        return build_optimizer(self.freezing.groups(self), self._optimizer, self._lr_scheduler, self.rates)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Pull towards the starting weights, before any clipping."""
        if strength := self.head_start.l2_sp:
            parameters = dict(self.backbone.named_parameters("backbone"))
            start = {name: self.live_part(name, self.start[name]) for name in parameters}
            pull_towards(parameters, start, strength)

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """Step, with the lower rates of stages that are warming up; the scheduler never sees those."""
        if self.without_steps:
            optimizer_closure()  # loss and metrics alone
            return
        with self.warming_up(optimizer.param_groups):
            self.rates_used = {name: float(group["lr"]) for name, group in named_groups(optimizer.param_groups)}
            super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)

    def configure_callbacks(self) -> list[Callback]:
        """Add no callback; the first hook of a run, in which those are refused that cannot work.

        Raises:
            TlearnError: There is one.
        """
        check_finders(callbacks_of(self.trainer))
        return []

    def refuse_resume(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to go on too where a fit takes no steps, and there is nothing left to do.

        Raises:
            TlearnError: It is so.
        """
        if option := self.without_steps:
            what, anew = "the head in the checkpoint is solved", "solve"
            if self.options.ensemble:
                what, anew = "its members are trained", "fit"
            raise TlearnError(
                f"{option}: {what} and there is nothing to resume; test it, or {anew} anew without --ckpt_path"
            )
        super().refuse_resume(checkpoint)

    @contextmanager
    def warming_up(self, groups: Sequence[dict[str, Any]]) -> Iterator[None]:
        """Lower the learning rates of an optimizer's groups to those of the warm-up, for the step at hand."""
        rates = [group["lr"] for group in groups]
        for group in groups:
            group["lr"] = group["lr"] * self._warmup(group.get("from_epoch", 0))
        try:
            yield
        finally:  # a checkpoint that is written at an error holds the scheduler's rates too
            for group, rate in zip(groups, rates, strict=True):
                group["lr"] = rate

    def rates_in_use(self) -> dict[str, float]:
        """Return the learning rate of each group, by name, in the step at hand: the scheduler's, lower in a warm-up."""
        named = named_groups(self.trainer.optimizers[0].param_groups)
        return {name: float(group["lr"]) * self._warmup(group.get("from_epoch", 0)) for name, group in named}

    @property
    def warmup_length(self) -> int:
        """Count the steps of the run's warm-up; 0 without one."""
        epochs = self.rates.warmup_epochs
        return self.steps_before(epochs) if epochs else self.rates.warmup_steps or 0

    def steps_before(self, epoch: int) -> int:
        """Count the steps of the optimizer in the epochs before this one, counted from 0, of the trainer at hand.

        Raises:
            TlearnError: Nobody knows how many batches there are.
        """
        batches = self.trainer.num_training_batches
        if batches == math.inf:
            raise TlearnError(
                "the training data have no length, so nobody knows when an epoch ends: set model.warmup_steps in place "
                "of warmup_epochs, and no model.unfreeze_warmup_steps"
            )
        return steps_before(self.trainer, epoch, batches)

    def _warmup(self, from_epoch: int) -> float:
        share = 1.0
        if steps := self.warmup_length:
            share = rising_share(self.global_step, steps)
        if from_epoch and (steps := self.freezing.options.unfreeze_warmup_steps):
            share *= rising_share(self.global_step - self.steps_before(from_epoch), steps)
        return share

    def _say_whose_rates_count(self) -> None:
        """A Trainer puts the checkpoint's optimizer over the one that was built; the command line has refused that."""
        if self.is_resumed and not self.finds_rates and self.trainer.is_global_zero:
            told = rates_that_give_way(self._given_rates, starting_rates(self.trainer.optimizers[0]))
            if told:
                log.warning("%s", told)
        self.is_resumed = False

    def _say_what_never_opens(self) -> None:
        for rule in self.freezing.never_open(self.trainer.max_epochs) if self.trainer.is_global_zero else ():
            log.warning(
                "model.unfreeze opens %s after %d epochs, this run ends after %d: it stays frozen",
                *(rule.pattern, rule.from_epoch, self.trainer.max_epochs),
            )

    def _train_what_trains(self) -> None:
        """Lightning trains a module in the mode that it finds it in; in eval mode BatchNorm and dropout stand still."""
        if not any(parameter.requires_grad for parameter in self.parameters()):
            raise TlearnError(
                "no parameter of the network requires a gradient, as in one that load() opened; start from its file: "
                "TransferModule(..., weights=PATH)"
            )
        if not self.training:
            log.info("the module was in eval mode: it trains in train mode, but for what is frozen")
            self.train()


def _is_strided_depthwise(part: nn.Module) -> bool:
    return isinstance(part, nn.Conv2d) and part.groups == part.in_channels > 1 and max(part.stride) > 1
