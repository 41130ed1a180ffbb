"""Typed views of a run: Lightning's Trainer types neither its data module nor its callbacks."""

from __future__ import annotations

from lightning.pytorch import Callback, Trainer

from tlearn.base.errors import TlearnError
from tlearn.data.datamodule import ImageDataModule


def own_data_of(trainer: Trainer | None) -> ImageDataModule | None:
    """Return the run's data module if it is one of tlearn's; ``None`` without a run, or for data of another kind."""
    data = getattr(trainer, "datamodule", None)
    return data if isinstance(data, ImageDataModule) else None


def data_of(trainer: Trainer) -> ImageDataModule:
    """Return the run's data module.

    Raises:
        TlearnError: It is none of tlearn's.
    """
    data = own_data_of(trainer)
    if data is None:
        kind = type(getattr(trainer, "datamodule", None)).__name__
        raise TlearnError(f"expected a data module of tlearn (a subclass of tlearn.ImageDataModule), got {kind}")
    return data


def callbacks_of(trainer: Trainer) -> list[Callback]:
    """Return the trainer's own list of callbacks, which may be changed in place."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by a connector
    return callbacks
