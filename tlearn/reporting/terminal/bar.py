"""Lightning's progress bar of a fit, a validation, a test or a prediction, by the line that all verbs share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar

from tlearn.base.progress import Progress

_TRAINING = 3.0  # what a batch of training costs beside one of validation: backward is twice forward


class LeanProgressBar(ProgressBar):
    """One line that vanishes: ``epoch 3/20, training: 41 of 61 batches, about 40 s left``.

    Lightning takes it in place of its own bars. What is printed or logged meanwhile stands above the line, see
    `tlearn.base.progress`. Scores are left to the line of the epoch.
    """

    def __init__(self) -> None:
        super().__init__()
        self._shows = True
        self._fit: Progress | None = None
        self._epoch: Progress | None = None  # its training, then its validation
        self._batches: Progress | None = None  # of one of these, or of another verb
        self._trains = False

    def disable(self) -> None:
        """Show nothing from now on; Lightning asks for it in all processes but the first."""
        self._shows = False

    def enable(self) -> None:
        """Show it again."""
        self._shows = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count the epochs that are left."""
        if self._shows:
            self._fit = Progress(count=_epochs_left(trainer)).open()
            if trainer.fit_loop.restarted_mid_epoch:  # such an epoch has no `on_train_epoch_start`
                self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count the batches of an epoch."""
        if self._fit is not None:
            if self._epoch is not None:
                self._epoch.close()  # and what is inside
            self._fit.next(f"epoch {epoch_of(trainer, trainer.current_epoch + 1)}")
            train, val = (_known(batches) or 0 for batches in (self.total_train_batches, self.total_val_batches))
            self._epoch = Progress(count=2, costs=[_TRAINING * train, val]).open()
            self._begin("training", self.total_train_batches)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count a batch; a validation within the epoch may have come before it."""
        if self._batches is not None:
            if not self._trains:
                self._begin("training", self.total_train_batches)
            self._batches.done = batch_idx + 1

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show that the run's end takes time too."""
        self._close()
        if self._shows:
            self._batches = Progress("writing the checkpoint and the report").open()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the line away."""
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Take the line away."""
        self._close()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count the batches of a validation."""
        if not trainer.sanity_checking:
            self._begin("validating", trainer.num_val_batches)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *batch: Any) -> None:
        """Count a batch."""
        if not trainer.sanity_checking:
            self._advance()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the line away, but within a fit."""
        if self._fit is None:
            self._close()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count the batches of a test."""
        self._begin("testing", trainer.num_test_batches)

    def on_test_batch_end(self, trainer: Trainer, pl_module: LightningModule, *batch: Any) -> None:
        """Count a batch."""
        self._advance()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the line away."""
        self._close()

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count the batches of a prediction."""
        self._begin("predicting", trainer.num_predict_batches)

    def on_predict_batch_end(self, trainer: Trainer, pl_module: LightningModule, *batch: Any) -> None:
        """Count a batch."""
        self._advance()

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the line away."""
        self._close()

    def _begin(self, what: str, batches: float | Sequence[float]) -> None:
        if not self._shows:
            return
        if self._batches is not None:
            self._batches.close()
        if self._epoch is not None:
            self._epoch.next(what)
        self._trains = what == "training"
        self._batches = Progress(what if self._epoch is None else "", _known(batches), "batches").open()

    def _advance(self) -> None:
        if self._batches is not None:
            self._batches.advance()

    def _close(self) -> None:
        outermost = self._fit or self._batches
        if outermost is not None:
            outermost.close()
        self._batches = self._epoch = self._fit = None


def epoch_of(trainer: Trainer, epoch: int) -> str:
    """Return an epoch, counted from 1, with the number that is planned: ``3/20``; ``3`` where there is none.

    Args:
        trainer: Its trainer.
        epoch: The epoch.
    """
    planned = trainer.max_epochs
    return f"{epoch}/{planned}" if planned is not None and planned >= 0 else str(epoch)


def _epochs_left(trainer: Trainer) -> int | None:
    """Return how many epochs are left; ``None`` where a number of steps, or nothing, ends the run."""
    planned = trainer.max_epochs
    if planned is None or planned < 0 or trainer.max_steps >= 0:
        return None
    return max(planned - trainer.current_epoch, 1)


def _known(batches: float | Sequence[float]) -> int | None:
    """Return the number of batches; ``None`` where nobody knows it."""
    number = sum(batches) if isinstance(batches, Sequence) else batches
    return int(number) if math.isfinite(number) else None
