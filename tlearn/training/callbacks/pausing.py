"""Pause a run at the end of an epoch, as a signal would, so that it can be gone on with to the same bits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer

from tlearn.training.callbacks.checkpoints import BestCheckpoint, LastCheckpoint, flush_checkpoints
from tlearn.training.callbacks.guards import FiniteLossCallback


class RunPausedError(Exception):
    """A run was paused behind an epoch: ``last.ckpt`` has everything, and nothing of the run's end is written."""


class PauseCallback(Callback):
    """Note the validation loss and the seconds of each epoch, and pause behind one when asked to.

    What is noted goes into each checkpoint: a run that was paused, or killed, knows its first epochs.

    Args:
        is_due: Gets this callback behind each epoch but the last, and tells whether the run pauses here.

    Attributes:
        losses: ``val/loss`` of each epoch.
        seconds: Seconds of each epoch with its validation; of one that was gone on with, those since then.
    """

    after: ClassVar = (FiniteLossCallback,)  # an epoch whose loss is not finite does not count
    before: ClassVar = (BestCheckpoint, LastCheckpoint)

    def __init__(self, is_due: Callable[[PauseCallback], bool]) -> None:
        self._is_due = is_due
        self._is_asked = False
        self._start_s = time.perf_counter()
        self.losses: list[float] = []
        self.seconds: list[float] = []

    @property
    def epochs(self) -> int:
        """Count the epochs that are done."""
        return len(self.losses)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock also of an epoch that is gone on with, which has no `on_train_epoch_start`."""
        self._start_s = time.perf_counter()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Pause between two epochs, where the metrics of the one before are written too.

        Raises:
            RunPausedError: It was asked for.
        """
        if self._is_asked:
            flush_checkpoints(trainer)
            raise RunPausedError
        self._start_s = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note what the epoch reached, before it is saved, and ask whether to pause."""
        done = trainer.current_epoch + 1
        self.losses = [*self.losses[: done - 1], float(trainer.callback_metrics["val/loss"])]
        self.seconds = [*self.seconds[: done - 1], time.perf_counter() - self._start_s]
        self._is_asked = done < (trainer.max_epochs or 0) and self._is_due(self)

    def state_dict(self) -> dict[str, Any]:
        """Return what was noted."""
        return {"losses": self.losses, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what was noted before."""
        self.losses, self.seconds = list(state_dict["losses"]), list(state_dict["seconds"])
