"""Use a Trainer as a rig: it brings device, precision and data to measurements outside of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import Trainer

from tlearn.data.datamodule import ImageDataModule
from tlearn.training.module import TransferModule


@contextmanager
def rigged(trainer: Trainer, module: TransferModule, data: ImageDataModule) -> Iterator[None]:
    """Bring network and data into the state in which a fit begins, and tear them down afterwards.

    Inside, everything that takes a trainer and a module can be called: `probe`, `measure`, `stage_features`.

    Args:
        trainer: A Trainer with one device that has run nothing. Its loops are never entered.
        module: The network. It is on the trainer's device inside.
        data: The images. They are read here.

    Raises:
        TlearnError: Whatever a fit would refuse before its first step.
    """
    rig: Any = trainer
    rig.datamodule = data
    data.trainer = module.trainer = trainer
    trainer.strategy.connect(module)
    trainer.strategy.setup_environment()
    data.prepare_data()
    data.setup("fit")
    module.setup("fit")
    trainer.strategy.setup(trainer)  # moves the module; optimizers are made in fits only
    module.on_fit_start()
    iter(data.train_dataloader())  # draws a seed, as in a fit: random numbers after it are those of a fit's first step
    try:
        yield
    finally:
        module.teardown("fit")
        data.teardown("fit")
        trainer.strategy.teardown()
