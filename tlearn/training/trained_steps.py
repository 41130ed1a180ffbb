"""Evaluations of a checkpoint are logged at the step and epoch that it had reached."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class TrainedStepsCallback(Callback):
    """Set the trainer's counters to those of the checkpoint before it is validated or tested.

    Lightning leaves them at 0. TensorBoard then takes the run for begun anew, and drops the points after step 0.

    Args:
        epochs: That the checkpoint has behind it.
        steps: Of the optimizer, likewise.
    """

    def __init__(self, epochs: int, steps: int) -> None:
        self.epochs, self.steps = epochs, steps

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set them."""
        self._set(trainer)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set them."""
        self._set(trainer)

    def _set(self, trainer: Trainer) -> None:
        loop: Any = trainer.fit_loop
        loop.epoch_progress.current.completed = max(0, self.epochs - 1)  # Lightning counts the one that it is in,
        loop.epoch_loop._batches_that_stepped = max(0, self.steps - 1)  # and the step, when it logs an epoch
        loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.total.completed = self.steps
