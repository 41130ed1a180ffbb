"""Callbacks of earlier versions, whose work the model does by itself now. Old code and configs still find them."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer

from tlearn.training.evaluation import Outputs
from tlearn.training.module import model_of


class EvaluationOutputsCallback(Callback):
    """Shows the answers of the last validation or test pass; use ``model.evaluation.last``.

    Args:
        epoch: Not used; the model knows which epoch it was loaded from.
    """

    def __init__(self, epoch: int = 0) -> None:
        self.last: Outputs | None = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the answers from the model."""
        self.last = model_of(trainer).evaluation.last

    on_test_end = on_validation_end


class TemperatureCallback(Callback):
    """Does nothing: the model fits its temperature in the validation of a fit."""

    def __init__(self, outputs: EvaluationOutputsCallback) -> None:
        self.outputs = outputs
