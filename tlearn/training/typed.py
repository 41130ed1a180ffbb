"""Typed views of a run: Lightning's Trainer types neither its data module nor its callbacks."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from lightning.pytorch import Callback, Trainer

from tlearn.base.errors import TlearnError
from tlearn.data.datamodule import ImageDataModule


class OptionCallback(Callback):
    """A callback through which options of the model act; without it in the trainer's list they would do nothing.

    Attributes:
        serves: The options' names.
    """

    serves: ClassVar[frozenset[str]]


FitSplit = Literal["train", "val"]  # the splits that ``fit`` opens


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


def on_features(trainer: Trainer) -> bool:
    """Tell whether the batches of a run hold cached features in place of images."""
    data = own_data_of(trainer)
    return data is not None and data.serves_features


def shape_of_data(trainer: Trainer | None) -> tuple[int, int] | None:
    """Return H and W of the pictures of a run, where they are known."""
    data = own_data_of(trainer)
    return None if data is None else data.image_shape_px


def callbacks_of(trainer: Trainer) -> list[Callback]:
    """Return the trainer's own list of callbacks, which may be changed in place."""
    callbacks: list[Callback] = _attributes(trainer).callbacks
    return callbacks


def options_served(trainer: Trainer) -> frozenset[str]:
    """Return the options of the model that a callback of this trainer acts for."""
    serving = (callback.serves for callback in callbacks_of(trainer) if isinstance(callback, OptionCallback))
    return frozenset[str]().union(*serving)


def is_trial(trainer: Trainer) -> bool:
    """Tell whether ``trainer.fast_dev_run`` is set: such a run leaves nothing behind."""
    return bool(_attributes(trainer).fast_dev_run)


def logging_interval(trainer: Trainer) -> int:
    """Return ``trainer.log_every_n_steps``, in steps of the optimizer; 0 logs no step."""
    return int(_attributes(trainer).log_every_n_steps)


def _attributes(trainer: Trainer) -> Any:
    """Lightning's connectors set these attributes from outside the class, where a type checker does not see them."""
    return trainer
