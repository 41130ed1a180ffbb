"""The rule that ended a run, and the epoch and step at which it did."""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import Any, ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, Timer
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from lightning.pytorch.utilities.exceptions import SIGTERMException

from tlearn.base.errors import one_line
from tlearn.training.callbacks.guards import FiniteLossCallback
from tlearn.training.callbacks.pausing import RunPausedError
from tlearn.training.callbacks.stopping import StopCallback
from tlearn.training.typed import callbacks_of

_ORDER = {"min": "below", "max": "above"}


class EndingCallback(Callback):
    """Note which rule ended ``fit``, for the callbacks that report it.

    Attributes:
        epoch: The last finished epoch, counted from 1.
        facts: Set at the end, for ``card.json``: ``by`` is the name of the rule, ``words`` describe it, ``epoch`` is
            the epoch it ended in, counted from 1, and ``step`` the number of finished steps.
    """

    after: ClassVar = (FiniteLossCallback,)  # an epoch whose loss is not finite does not count
    before: ClassVar = (StopCallback,)  # which ends the run behind an epoch that counts

    def __init__(self) -> None:
        self.epoch = 0
        self.facts: dict[str, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count the epochs."""
        current: Any = trainer.fit_loop.epoch_progress.current
        self._first = self.epoch = current.processed  # current_epoch is one less if max_steps ended the run

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count this epoch."""
        self.epoch = trainer.current_epoch + 1

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the rule, in the order in which Lightning checks them."""
        by, words = self._rule(trainer)
        self.facts = {"by": by, "words": words, "epoch": self.epoch, "step": trainer.global_step}

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Note the signal or the error."""
        if self.facts:
            return  # training had ended before
        name = signal_name(exception)
        by, words = ("signal", name) if name else ("fault", one_line(exception))
        if isinstance(exception, RunPausedError):
            by, words = "pause", "a pause"
        epochs: Any = trainer.fit_loop.epoch_progress.current
        self.facts = {"by": by, "words": words, "epoch": epochs.started, "step": trainer.global_step}

    def _rule(self, trainer: Trainer) -> tuple[str, str]:
        epochs, steps = trainer.max_epochs, trainer.max_steps
        current: Any = trainer.fit_loop.epoch_progress.current
        if epochs is not None and 0 <= epochs <= current.processed:
            return "max_epochs", f"trainer.max_epochs {epochs}"
        if 0 <= steps <= trainer.global_step:
            return "max_steps", f"trainer.max_steps {steps}"
        for callback in callbacks_of(trainer):
            if isinstance(callback, EarlyStopping) and self._has_stopped(callback):
                return "early_stopping", f"EarlyStopping, {_early_words(callback)}"
            if isinstance(callback, Timer) and (left_s := callback.time_remaining()) is not None and left_s <= 0:
                return "max_time", f"trainer.max_time {_days(callback)}"
        return "callback", "a callback that set trainer.should_stop"

    def _has_stopped(self, callback: EarlyStopping) -> bool:
        """Tell whether it ended this training, and not the one that is resumed."""
        return callback.stopping_reason != EarlyStoppingReason.NOT_STOPPED and callback.stopped_epoch >= self._first


def signal_name(exception: BaseException) -> str:
    """Return the name of the signal that ended a run; empty if it was an error."""
    if isinstance(exception, KeyboardInterrupt):
        return signal.SIGINT.name
    if not isinstance(exception, SIGTERMException):
        return ""
    number = exception.code - 128 if isinstance(exception.code, int) else 0
    return signal.Signals(number).name if number > 0 else signal.SIGTERM.name


def _early_words(callback: EarlyStopping) -> str:
    reason, name = callback.stopping_reason, callback.monitor
    if reason == EarlyStoppingReason.STOPPING_THRESHOLD:
        return f"{name} is {_ORDER[callback.mode]} stopping_threshold {callback.stopping_threshold:g}"
    if reason == EarlyStoppingReason.DIVERGENCE_THRESHOLD:
        return f"{name} went past divergence_threshold {callback.divergence_threshold:g}"
    if reason == EarlyStoppingReason.NON_FINITE_METRIC:
        return f"{name} is no finite number"
    checks = f"{callback.wait_count} check" + ("" if callback.wait_count == 1 else "s")
    return f"{name} did not get better in {checks} (patience), best {float(callback.best_score):.4f}"


def _days(timer: Timer) -> str:
    """Write a duration as ``trainer.max_time`` takes it: ``DD:HH:MM:SS``."""
    whole = timedelta(seconds=round(timer.time_elapsed() + (timer.time_remaining() or 0)))
    minutes, seconds = divmod(whole.seconds, 60)
    return f"{whole.days:02}:{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
