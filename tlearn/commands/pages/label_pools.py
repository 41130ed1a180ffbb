"""From the words of `label` to pictures with features: those of a folder, and those that have a label already."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tlearn.analysis.pool.labelled_pool import LabelledPool, labelled_pool
from tlearn.analysis.pool.unlabelled_files import UnlabelledFilesDataModule
from tlearn.analysis.pool.unlabelled_pool import UnlabelledPool, unlabelled_pool
from tlearn.analysis.rig import rigged
from tlearn.base.errors import TlearnError
from tlearn.base.next_command import command_line
from tlearn.base.progress import Progress
from tlearn.cli.arguments import Arguments
from tlearn.cli.config_files import Config, find_config
from tlearn.cli.faults import translated_faults
from tlearn.cli.targets.settle import with_target
from tlearn.cli.transfer_cli import run_as
from tlearn.commands.probe import drop_strategy
from tlearn.commands.untrained import UntrainedCLI
from tlearn.data.files.listing import class_folders, listed
from tlearn.data.sources.folder import ImageFolderDataModule

log = logging.getLogger(__name__)

# Options that say where pictures with labels are.
_KEYS = ("class_path", "root", "table", "init_args.root", "init_args.table")
_PLACES = ("--data", *(f"--data.{key}" for key in _KEYS))
_UNLABELLED = f"{UnlabelledFilesDataModule.__module__}.{UnlabelledFilesDataModule.__name__}"


class Pools(NamedTuple):
    """The pictures of a folder, and labelled ones, if there are any, with features of the same network.

    Attributes:
        unlabelled: Those of the folder.
        labelled: Those that have a label already.
        are_folders: The labelled ones are class folders, beside which a fit takes other folders.
    """

    unlabelled: UnlabelledPool
    labelled: LabelledPool | None
    are_folders: bool = False


class _LookingCLI(UntrainedCLI):
    chooses = False


def pools_of(folder: Path, arguments: Arguments) -> Pools:
    """Look at all pictures with a network that stays as it is.

    Args:
        folder: The pictures to label.
        arguments: A command line of `fit`; where it names pictures, those have labels.

    Raises:
        TlearnError: Any fault of the command line, the weights or the files that the user can mend.
    """
    if not folder.is_dir():
        raise TlearnError(f"label takes a folder of pictures, found none at {folder.absolute()}")
    arguments = replace(arguments, verb="fit")
    if not _names_labelled(arguments):
        own = [f"--data={_UNLABELLED}", f"--data.init_args.root={folder}"]
        configs = [each.without("data") for each in _or_usual(arguments.configs)]
        with _looking(replace(arguments, configs=configs, options=[*own, *arguments.options]), 1) as cli:
            _say_folders(folder)
            return Pools(_seen(cli, cli.datamodule), None)
    arguments = replace(with_target(arguments), verb="fit")
    if arguments.target is None:
        arguments = replace(arguments, configs=_or_usual(arguments.configs))
    with _looking(arguments, 2) as cli:
        with rigged(cli.trainer, cli.model, cli.datamodule):
            labelled = labelled_pool(cli.trainer, cli.model)
        others = UnlabelledFilesDataModule(str(folder), batch_size=cli.datamodule.batch_size)
        others.read_as(labelled.framing, labelled.class_names)
        return Pools(_seen(cli, others), labelled, isinstance(cli.datamodule, ImageFolderDataModule))


def _say_folders(folder: Path) -> None:
    """Say that no folder is taken for a class; after the first answer `fit` will not take them for classes either."""
    if names := class_folders(folder):
        other = command_line("label", "PHOTOS", folder)
        told = "no picture has a label by its folder (%s): if those are classes, label other pictures beside them: %s"
        log.info(told, listed(names, most=5), other)


def _names_labelled(arguments: Arguments) -> bool:
    words, rest = arguments.take_loose()
    typed = any(name in _PLACES for name, _ in rest.pairs())
    return bool(words) or typed or any("data" in config.content for config in rest.configs)


def _or_usual(configs: list[Config]) -> list[Config]:
    return configs or [Config(find_config("folder.yaml"))]


@contextmanager
def _looking(arguments: Arguments, parts: int) -> Iterator[_LookingCLI]:
    cli = run_as(partial(_LookingCLI, "all", _freeze), arguments)
    with translated_faults(arguments), Progress("label", parts, parts=True):
        yield cli


def _freeze(cli: UntrainedCLI) -> None:
    """Let the network stay as it is: of a strategy, only what its head sees counts."""
    model = cli.config[cli.verb].model
    tap = model.tap
    drop_strategy(cli, "label", ())
    model.tap, model.freeze_backbone = tap, True


def _seen(cli: _LookingCLI, data: UnlabelledFilesDataModule) -> UnlabelledPool:
    with rigged(cli.trainer, cli.model, data):
        return unlabelled_pool(cli.trainer, cli.model)
