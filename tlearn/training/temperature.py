"""Temperature scaling in a run: fitted at every validation, kept in the checkpoints (Guo et al., 2017)."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer

from tlearn.models.calibration import fit_temperature
from tlearn.training.evaluation import EvaluationOutputsCallback
from tlearn.training.module import TransferModule


class TemperatureCallback(Callback):
    """Fit ``module.temperature`` on the validation images of each epoch, before its checkpoint is written.

    Only ``fit`` does so: validating or testing a checkpoint leaves the temperature that it was written with.

    Args:
        outputs: Gathers the answers; it stands before this callback in the trainer's list.
    """

    def __init__(self, outputs: EvaluationOutputsCallback) -> None:
        self.outputs = outputs

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Fit it, and log it as ``val/temperature``."""
        assert isinstance(pl_module, TransferModule)
        found = self.outputs.last
        if pl_module.task == "regression" or trainer.sanity_checking or trainer.state.fn != "fit" or found is None:
            return
        pl_module.temperature = fit_temperature(pl_module.task, found.logits, found.targets)
        pl_module.log("val/temperature", pl_module.temperature)
