"""How the weights of each layer are spread, in TensorBoard."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer

from tlearn.reporting.loggers import step_of, tensorboard_writers
from tlearn.training.module import TransferModule


class WeightHistogramsCallback(Callback):
    """Write a histogram of every parameter that trains, at the end of each epoch.

    Not part of a run unless it is asked for: ``--trainer.callbacks+=tlearn.reporting.WeightHistogramsCallback``. A
    ResNet18 has 62 of them.
    """

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write them."""
        assert isinstance(pl_module, TransferModule)
        for writer in tensorboard_writers(trainer):
            for name in pl_module.rules:
                parameter = pl_module.get_parameter(name)
                if parameter.requires_grad:
                    writer.add_histogram(f"weights/{name}", parameter.detach().float(), step_of(trainer))
