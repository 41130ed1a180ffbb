"""Fill in the options of a parsed config that depend on others, on the checkpoint or on the machine."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule
from lightning.pytorch.cli import LightningArgumentParser

from tlearn.base.errors import TlearnError
from tlearn.base.machine import FULL_PRECISION
from tlearn.base.places import DEFAULT_ROOT, version_of
from tlearn.cli.arguments import Arguments
from tlearn.cli.config_files import leaves
from tlearn.cli.faults import TransferParser
from tlearn.cli.resume import Checkpoint
from tlearn.cli.targets.run_places import BOARD
from tlearn.data.datamodule import ImageDataModule
from tlearn.data.decoding.reading_options import stored_reading
from tlearn.data.listed import listed_folder
from tlearn.data.plain.classes import Classes, classes_of
from tlearn.data.plain.given import GIVEN, GivenDataModule
from tlearn.data.plain.view import PlainDataView, view_of
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
from tlearn.models.network import Network

log = logging.getLogger(__name__)

DATA_MODULES = (cifar10, digits, folder, huggingface, listed_folder, shards, table, to_predict, torchvision)

# 20 epochs are the tutorial's. The loss of every 10th batch is a curve in TensorBoard. tlearn has a summary and
# samplers of its own. A second device may be in use by somebody else.
TRAINER_DEFAULTS = {
    "max_epochs": 20,
    "log_every_n_steps": 10,
    "enable_model_summary": False,
    "use_distributed_sampler": False,
    "devices": 1,
}
LOGGER = f"lightning.pytorch.loggers.{BOARD}"


def settle_logger(config: Namespace, run_name: str) -> None:
    """Put everything of a run into one folder: ``runs/<config name>/version_N`` unless the user says otherwise.

    TensorBoard's logger comes first, for its folder is the run's. Any other is one more place.
    """
    trainer = config.trainer
    if trainer.logger is False:
        return
    root = str(trainer.default_root_dir or DEFAULT_ROOT)
    given = [] if trainer.logger in (None, True) else trainer.logger
    loggers = given if isinstance(given, list) else [given]
    boards = [each for each in loggers if _is_board(each)]
    if loggers:
        trainer.default_root_dir = root  # for loggers that have no folder of their own
    if not boards:
        arguments = Namespace(save_dir=root, name=run_name, sub_dir=None, default_hp_metric=False)
        boards = [Namespace(class_path=LOGGER, init_args=arguments)]
    ordered = [*boards, *(each for each in loggers if not _is_board(each))]
    trainer.logger = ordered[0] if len(ordered) == 1 else ordered


def _is_board(logger: Namespace) -> bool:
    return str(logger.class_path).endswith(BOARD)


def settle_folder(config: Namespace, run_name: str, run: Path | None, verb: str) -> None:
    """Go on in the checkpoint's run folder, and without a logger still give every run a folder of its own.

    What ``test`` and ``validate`` log for TensorBoard lies in a folder of this name inside the run's. TensorBoard takes
    each folder for a run: the curves of ``fit`` stay as they were.
    """
    trainer = config.trainer
    if trainer.logger is False:
        parent = Path(trainer.default_root_dir or DEFAULT_ROOT, run_name)
        number = max((version_of(path) for path in parent.glob("version_*")), default=-1) + 1
        trainer.default_root_dir = str(run or parent / f"version_{number}")
    elif run is not None:
        board = trainer.logger[0] if isinstance(trainer.logger, list) else trainer.logger
        place = {"save_dir": str(run.parent.parent), "name": run.parent.name, "version": version_of(run)}
        if verb in ("test", "validate") and board.init_args.get("sub_dir", "") is None:
            place["sub_dir"] = verb
        board.init_args.update(Namespace(place))


def settle_machine(config: Namespace, verb: str) -> None:
    """Show progress, and compute in float32 where `tlearn.load` and exports do: an answer must not depend on the door.

    The precision of the other verbs depends on the network, see `OptimizedModule.fastest_precision`.
    """
    trainer = config.trainer
    if verb == "predict" and trainer.precision is None:
        trainer.precision = FULL_PRECISION
    if trainer.enable_progress_bar is None:
        trainer.enable_progress_bar = True


def plain_config(parser: LightningArgumentParser, config: Namespace) -> dict[str, Any]:
    """Return a parsed config as plain values, complete, without the checkpoint it may have come from."""
    plain: dict[str, Any] = yaml.safe_load(parser.dump(config, skip_none=False))
    plain["ckpt_path"] = None
    plain.pop("resume", None)  # no part of what a run is
    if plain.get("advice") is None:
        plain.pop("advice", None)
    return plain


# Options of the model that the data's options follow where they say nothing.
FOLLOWED = ("image_size", "in_channels")


def settle_pictures(config: Namespace, checkpoint: Checkpoint | None) -> None:
    """Let pictures be decoded as the model wants them; a checkpoint tells how they were, and of what classes.

    Their size follows ``model.image_size``, their channels ``model.in_channels``, where the data's options say nothing.
    """
    options = config.data.get("init_args") or Namespace()  # a class without parameters has none
    if "size_px" in options and options.size_px is None:
        options.size_px = config.model.image_size
    if "num_channels" in options and options.num_channels is None:
        options.num_channels = config.model.in_channels
    if "augment" in options and options.augment is None:
        del options["augment"]  # nothing means the default, as with other options; jsonargparse cannot make it of null
    if checkpoint is not None and "stored_classes" in options:
        options.stored_classes = checkpoint.class_names
    if checkpoint is not None and "stored_reading" in options and checkpoint.about.get("pictures") is not None:
        options.stored_reading = stored_reading(checkpoint.about["pictures"])
    if checkpoint is not None and "test_fraction" in options:
        _check_unseen(options, checkpoint)


def _check_unseen(options: Namespace, checkpoint: Checkpoint) -> None:
    """Refuse a larger share, or a smaller one of the same folder: some of what it leaves to evaluate was trained on."""
    before, share = dict(leaves(checkpoint.config)), options.test_fraction
    stored = before.get("data.init_args.test_fraction") or 0
    is_same_place = options.get("root") == before.get("data.init_args.root")
    if checkpoint.config and (share > stored or (share < stored and is_same_place)):
        raise TlearnError(
            f"data.init_args.test_fraction {share:g}: the checkpoint was trained with {stored:g}, so it has "
            "seen some of these pictures; drop the option, or fit anew with it"
        )


def with_data(arguments: Arguments, data: LightningDataModule | None) -> Arguments:
    """Add a data module that was given from Python to a command, and the options that stand for it in the config."""
    if data is None:
        return arguments
    words = [f"--data={GIVEN}", f"--data.init_args.name={type(data).__module__}.{type(data).__qualname__}"]
    return replace(arguments, data=data, options=[*words, *arguments.options])


class RunData:
    """The data of a command: a data module of tlearn or of the user's own, from a config or given from Python.

    Attributes:
        module: The data module, once it is made.
    """

    module: LightningDataModule

    def __init__(self, given: LightningDataModule | None, checkpoint: Checkpoint | None, one_by_one: bool) -> None:
        """Take what is known before the data are made.

        Args:
            given: What was given from Python, if anything was.
            checkpoint: Knows the classes, if there is one.
            one_by_one: The command takes images one by one, as data modules of tlearn alone offer.
        """
        self._given, self._checkpoint, self._one_by_one = given, checkpoint, one_by_one
        self._classes: Classes | None = None
        self._view: PlainDataView | None = None

    def link(self, parser: LightningArgumentParser) -> None:
        """Let the data tell the network task and classes, once they are made."""
        for option, part in {"num_classes": "num_classes", "class_names": "names", "task": "task"}.items():
            parser.link_arguments("data", f"model.{option}", partial(self._told, part), apply_on="instantiate")

    def images_for(self, network: Network) -> ImageDataModule:
        """Return the images, which are a view where the data module is of the user's own."""
        if isinstance(self.module, ImageDataModule):
            return self.module
        self._view = view_of(self.module, network.class_names, network.task)
        return self._view

    def look(self, network: Network) -> None:
        """Look at the first batches of a data module of the user's own.

        Raises:
            TlearnError: The network cannot take them.
        """
        if self._view is not None:
            self._view.look(network.num_outputs, network.options.in_channels)

    def _told(self, part: str, data: LightningDataModule) -> Any:
        if self._classes is None:
            self.module = self._given or data
            if self._one_by_one:
                checked_data(self.module)
            self._classes = _classes_in(self.module, self._checkpoint)
        return getattr(self._classes, part)


def _classes_in(data: LightningDataModule, checkpoint: Checkpoint | None) -> Classes:
    if isinstance(data, ImageDataModule):
        return Classes(data.task, data.num_classes, data.class_names)
    if isinstance(data, GivenDataModule):
        data.setup("fit")
    if checkpoint is not None and getattr(data, "num_classes", None) is None:
        task, names = checkpoint.about["task"], checkpoint.class_names
        return Classes(task, max(len(names), 1), names)
    return classes_of(data)


def checked_data(data: LightningDataModule) -> ImageDataModule:
    """Return a data module of tlearn, for a command that takes images one by one.

    Raises:
        TlearnError: It is one of the user's own.
    """
    if isinstance(data, ImageDataModule):
        return data
    raise TlearnError(
        f"this command takes images one by one, which a data module of your own ({type(data).__name__}) does not "
        "offer: fit, validate and test do with its loaders; or write a subclass of tlearn.data.InMemoryDataModule"
    )


def parse_data(config: Mapping[str, Any]) -> Namespace:
    """Parse the data's part of a stored config, as plain values."""
    parsed: Namespace = _parser().parse_object({"data": config}).data
    return parsed


def make_data(config: Namespace) -> ImageDataModule:
    """Make a data module from its part of a parsed config."""
    return checked_data(_parser().instantiate(Namespace(data=config)).data)


def _parser() -> TransferParser:
    parser = TransferParser()
    parser.add_subclass_arguments(LightningDataModule, "data", required=True)
    return parser
