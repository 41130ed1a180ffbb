"""The part of a config that says which images: settle what depends on the rest of it, and make them alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonargparse import Namespace

from tlearn.cli.faults import TransferParser
from tlearn.cli.resume import Checkpoint
from tlearn.data.datamodule import ImageDataModule
from tlearn.data.shards import datamodule as shards
from tlearn.data.sources import (  # A class is found by its short name once its file is imported.
    cifar10,
    digits,
    folder,
    huggingface,
    table,
    to_predict,
    torchvision,
)

_DATA_MODULES = (cifar10, digits, folder, huggingface, shards, table, to_predict, torchvision)


def settle_pictures(config: Namespace, checkpoint: Checkpoint | None) -> None:
    """Decode pictures to what the model wants to see, and name classes as the checkpoint does where no data do."""
    options = config.data.get("init_args") or Namespace()  # a class without parameters has none
    if "size_px" in options and options.size_px is None:
        options.size_px = config.model.image_size
    if "augment" in options and options.augment is None:
        del options["augment"]  # nothing means the default, as with other options; jsonargparse cannot make it of null
    if checkpoint is not None and "stored_classes" in options:
        options.stored_classes = checkpoint.class_names


def parse_data(config: Mapping[str, Any]) -> Namespace:
    """Parse the data's part of a stored config, as plain values."""
    parsed: Namespace = _parser().parse_object({"data": config}).data
    return parsed


def make_data(config: Namespace) -> ImageDataModule:
    """Make a data module from its part of a parsed config."""
    made: ImageDataModule = _parser().instantiate(Namespace(data=config)).data
    return made


def _parser() -> TransferParser:
    parser = TransferParser()
    parser.add_subclass_arguments(ImageDataModule, "data", required=True)
    return parser
