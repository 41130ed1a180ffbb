"""Typed views of a run: Lightning's Trainer types neither its data module nor its callbacks."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from lightning.pytorch import Callback, LightningDataModule, Trainer
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.data.datamodule import ImageDataModule
from tlearn.data.plain.view import PlainDataView, view_of
from tlearn.models.network import Network


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
    """Return the run's data module, or a view of one of the user's own.

    Raises:
        TlearnError: There is none: the trainer was given loaders.
    """
    data = own_data_of(trainer) or plain_data_of(trainer)
    if data is None:
        raise TlearnError(
            "this run has loaders, but no data module, which is needed here; put them into a LightningDataModule"
        )
    return data


def plain_data_of(trainer: Trainer | None) -> PlainDataView | None:
    """Return a view of the run's data module if it is of the user's own, not one of tlearn's; ``None`` otherwise."""
    data = getattr(trainer, "datamodule", None)
    if trainer is None or not isinstance(data, LightningDataModule) or isinstance(data, ImageDataModule):
        return None
    network = trainer.lightning_module
    return view_of(data, network.class_names, network.task) if isinstance(network, Network) else None


def labels_of(trainer: Trainer) -> Tensor:
    """Return the class numbers of all training images (N,).

    Raises:
        TlearnError: A data module of the user's own does not tell them.
    """
    train = data_of(trainer).dataset("train")
    if len(train.targets) < len(train) or not len(train):
        raise TlearnError(
            "model.class_weights balanced counts the classes of the training images, which this data set does not "
            "tell; give it an attribute targets, or model.class_weights a list"
        )
    return train.targets[train.indices]


def images_of(trainer: Trainer, what: str) -> ImageDataModule:
    """Return the run's data module for something that goes through the images in order, never augmented.

    Args:
        trainer: Has the data module.
        what: Asks for it, as ``model.head_init probe``.

    Raises:
        TlearnError: It is none of tlearn's, which cannot do that.
    """
    data = own_data_of(trainer)
    if data is None:
        kind = type(getattr(trainer, "datamodule", None)).__name__
        raise TlearnError(
            f"{what} goes through the images in order, as they are, which a data module of your own ({kind}) does not "
            "offer; drop it, or write a subclass of tlearn.data.InMemoryDataModule"
        )
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
