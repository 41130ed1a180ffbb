"""Train a head on cached features in a plain loop, at the price of its arithmetic. S batches, K classes."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.trainer import call
from torch import Tensor, nn

from tlearn.base.types import Batch
from tlearn.training.callbacks.stopping import StopCallback
from tlearn.training.callbacks.taken_steps import TakenSteps
from tlearn.training.exact_resume import missing_factor, scale_gradients
from tlearn.training.module import TransferModule, model_of
from tlearn.training.optimizer import named_groups
from tlearn.training.strategies.each_step import needs_each_step, own_hook
from tlearn.training.typed import callbacks_of, logging_interval, on_features

log = logging.getLogger(__name__)

_NOTHING = nullcontext()
_DRAW_NOTHING = (nn.Linear, nn.ReLU, nn.Sequential)


def take_plain_steps(trainer: Trainer, module: TransferModule) -> None:
    """Let a fit that is about to begin train on features in a plain loop, or say why it does not."""
    loop = trainer.fit_loop.epoch_loop
    if not isinstance(loop, FeatureEpochs):
        before, loop = loop, FeatureEpochs(trainer, loop.min_steps, loop.max_steps)
        loop.__dict__.update(vars(before))  # all that it has counted
        trainer.fit_loop.epoch_loop = loop
    reason = needs_each_step(trainer, module)
    loop.is_plain = reason is None
    if reason and trainer.is_global_zero:
        log.info("the head is trained in Lightning's loop, which is slower than a plain one: %s", reason)


class FeatureEpochs(_TrainingEpochLoop):
    """Lightning's loop over an epoch's batches, which takes the steps on cached features in one go.

    It stops at the end of the epoch, before a validation, at ``max_steps``, and where a signal or ``max_time`` ends the
    run; callbacks see one batch then. Lightning's counters are moved on by what was done, so that checkpoints and their
    names, curves and schedules are those of its own loop, which images still take, and the first batch of a resume.
    """

    is_plain = False

    def advance(self, data_fetcher: Any) -> None:
        """Take the steps up to the next stop."""
        trainer, module = self.trainer, model_of(self.trainer)
        is_frozen = on_features(trainer) and not any(p.requires_grad for p in module.backbone.parameters())
        if self.restarting or not self.is_plain or not is_frozen:
            super().advance(data_fetcher)
            return
        self.val_loop.restarting = False
        end, self._fetcher = self._next_stop(), data_fetcher
        batch, index = self.next_batch(), self.batch_idx
        trainer._logger_connector.on_batch_start(batch)
        call._call_callback_hooks(trainer, "on_train_batch_start", batch, index)
        call._call_lightning_module_hook(trainer, "on_train_batch_start", batch, index)
        stretch = _Stretch(self, module)
        outside, module._current_fx_name = module._current_fx_name, "training_step"  # what is logged in a loss is its
        batch = stretch.take(batch, end)
        module._current_fx_name = outside
        self._count(stretch.taken)
        if stretch.learns and stretch.taken.rates:  # none where a validation comes before the end of the first window
            module.rates_used = stretch.taken.rates_of(self.global_step - 1)
        if self._num_ready_batches_reached():
            self.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        outputs, index = (
            {"loss": stretch.loss / trainer.accumulate_grad_batches, "taken": stretch.taken},
            self.batch_idx,
        )
        call._call_callback_hooks(trainer, "on_train_batch_end", outputs, batch, index)
        call._call_lightning_module_hook(trainer, "on_train_batch_end", outputs, batch, index)
        trainer._logger_connector.on_batch_end()
        self.batch_progress.increment_completed()
        if stretch.taken.logged(logging_interval(trainer)) or trainer.should_stop:
            trainer._logger_connector.log_metrics(trainer._logger_connector.metrics["log"])

    def next_batch(self) -> Batch:
        """Fetch a batch to the device, and count it as one that is ready."""
        batch, _, _ = next(self._fetcher)
        self.batch_progress.is_last_batch = self._fetcher.done
        self.batch_progress.increment_ready()
        device = self.trainer.strategy.root_device
        return batch if device.type == "cpu" else Batch(*(part.to(device, non_blocking=True) for part in batch[:3]))

    def _next_stop(self) -> int:
        """Return how many batches of the epoch are to be behind the steps that begin."""
        trainer, done, window = self.trainer, self.batch_progress.current.ready, self.trainer.accumulate_grad_batches
        ends = [int(trainer.num_training_batches)]
        if self.max_steps >= 0:
            ends.append((done // window + self.max_steps - self.global_step) * window)
        every = trainer.val_check_batch
        if self._should_check_val_epoch() and every is not None and every != math.inf:
            counted = self.batch_progress.total.ready if trainer.check_val_every_n_epoch is None else done
            ends.append(done + int(every) - counted % int(every))
        return min(ends)

    def _count(self, taken: TakenSteps) -> None:
        """Move the counters on to where Lightning's stand after a batch of its own; `on_advance_end` does the rest."""
        batches = len(taken.losses)
        both: list[Any] = [self.batch_progress.total, self.batch_progress.current]  # typed as their base class
        for counters in both:
            counters.started += batches
            counters.processed += batches
            counters.completed += batches - 1
        self._batches_that_stepped += len(taken.rates) - (not self._should_accumulate())


class _Stretch:
    """The steps between two stops, as Lightning's loop and `TransferModule` would take them.

    Attributes:
        taken: What was done.
        loss: Of the newest batch.
        learns: The head takes steps; a solved one shows only what it reaches.
    """

    loss: Tensor

    def __init__(self, loop: FeatureEpochs, module: TransferModule) -> None:
        self._loop, self._module, self._trainer = loop, module, loop.trainer
        self._optimizer = self._trainer.optimizers[0]
        self._head, self._dtype = module.head, next(module.head.parameters()).dtype
        self._counted = loop.automatic_optimization.optim_progress.optimizer
        self._window = self._trainer.accumulate_grad_batches
        self._warm_up = module.warmup_length
        has_own = partial(own_hook, module, TransferModule)
        self._clips = self._trainer.gradient_clip_val is not None or bool(has_own(["configure_gradient_clipping"]))
        self._may_log = bool(has_own(["configure_gradient_clipping", "training_loss"]))
        self.learns = not module.without_steps
        self._opens = self._closes = self._is_last = False
        self._batch: Batch
        self.taken = TakenSteps(loop.global_step, [name for name, _ in named_groups(self._optimizer.param_groups)])

    def take(self, batch: Batch, end: int) -> Batch:
        """Take the steps up to a number of batches of the epoch, and return the last batch."""
        loop, module, window, taken = self._loop, self._module, self._window, self.taken
        progress, steps = loop.batch_progress.current, self._counted.step
        draws = any(type(part) not in _DRAW_NOTHING for part in self._head.modules())
        by_step = any(each.interval == "step" for each in self._trainer.lr_scheduler_configs)
        asked, self._batch = _ends(self._trainer), batch
        while True:
            self._is_last = loop._num_ready_batches_reached()
            self._opens = (progress.ready - 1) % window == 0
            self._closes = progress.ready % window == 0 or self._is_last
            if draws or self._is_last:
                module.seed_step(progress.ready - 1)
            if self._closes:
                steps.increment_ready()
                self._step()
                steps.increment_completed()
            else:
                self._compute()
            taken.images += len(self._batch.images)
            taken.losses.append(self.loss)
            taken.steps.append(loop.global_step)
            if by_step:
                loop.update_lr_schedulers("step", update_plateau_schedulers=False)
            if progress.ready >= end or self._is_last or (self._closes and any(ask() for ask in asked)):
                return self._batch
            self._batch = loop.next_batch()
            if self._may_log:
                self._trainer._logger_connector.on_batch_start(self._batch)

    def _step(self) -> None:
        groups, module = self._optimizer.param_groups, self._module
        with module.warming_up(groups) if self._warm_up > self._loop.global_step else _NOTHING:
            self.taken.rates.append([float(group["lr"]) for group in groups])
            if self.learns:
                self._optimizer.step(self._compute)
            else:
                self._compute()  # loss and metrics of the solved head

    @torch.enable_grad()
    def _compute(self) -> Tensor:
        """Compute loss and gradients of the batch at hand; the closure that an optimizer may call more than once."""
        module, trainer = self._module, self._trainer
        output = self._head(self._batch.images.to(self._dtype))
        loss = module.training_loss(output, self._batch.targets)
        module.train_metrics.update(output, loss, module.learned(self._batch.targets))
        self.loss = loss.detach()
        if self._opens:
            self._counted.zero_grad.increment_ready()
            self._counted.zero_grad.increment_started()
            self._optimizer.zero_grad()
            self._counted.zero_grad.increment_completed()
        if self._window > 1:
            loss = loss / self._window
            if (factor := missing_factor(trainer)) != 1.0:
                scale_gradients(self._head.parameters(), factor)  # those of the window's batches so far
                loss = loss * factor
        loss.backward()
        if self._closes and self.learns:
            if self._is_last:
                call._call_callback_hooks(trainer, "on_before_optimizer_step", self._optimizer)
            if self._clips:
                rule = trainer.gradient_clip_val, trainer.gradient_clip_algorithm
                module.configure_gradient_clipping(self._optimizer, *rule)
        return self.loss / self._window if self._window > 1 else self.loss  # as Lightning's, for a line search


def _ends(trainer: Trainer) -> list[Callable[[], bool]]:
    """List what may end a run between two steps: a signal, and ``max_time``."""
    found: list[Callable[[], bool]] = []
    for callback in callbacks_of(trainer):
        if isinstance(callback, StopCallback):
            found.append(callback.is_signalled)
        elif isinstance(callback, Timer) and callback._interval == "step":
            found.append(partial(_is_over, callback))
    return found


def _is_over(timer: Timer) -> bool:
    left_s = timer.time_remaining()
    return left_s is not None and left_s <= 0
