"""Export a checkpoint: read it, find images to check with, and write the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from jsonargparse import Namespace

from tlearn.base.errors import TlearnError
from tlearn.base.machine import limit_threads
from tlearn.base.name_forms import same_names
from tlearn.cli.arguments import Arguments
from tlearn.cli.defaults import FOLLOWED, make_data, parse_data, settle_pictures
from tlearn.cli.faults import translated_faults
from tlearn.cli.quiet import quieten
from tlearn.cli.resume import Checkpoint, open_checkpoint
from tlearn.data.datamodule import ImageDataModule
from tlearn.deploy.check import Agreement, Examples, examples_from_folders
from tlearn.deploy.export import export_network
from tlearn.deploy.loading import framing_of, load_module
from tlearn.deploy.reliability.options import ReliabilityOptions


def export_checkpoint(
    arguments: Arguments,
    out: Path,
    folders: Sequence[Path],
    int8: bool,
    reliability: ReliabilityOptions,
    tell: Callable[[str], object],
) -> Agreement:
    """Write the network of the checkpoint that a command line names.

    Args:
        arguments: The command line.
        out: The file to write.
        folders: Pictures to check with, in place of the run's own data.
        int8: Write 8 bits.
        reliability: What further outputs tell.
        tell: Called with a line for each thing that was done.

    Raises:
        TlearnError: No such checkpoint, no images to check with, or whatever `export_network` refuses.
    """
    quieten()
    limit_threads()
    with translated_faults(arguments):
        checkpoint = open_checkpoint(arguments)
        assert checkpoint is not None  # only fit starts without one
        module = load_module(checkpoint.path)
        read = (
            examples_from_folders(folders, framing_of(module)) if folders else _examples_of_run(checkpoint, arguments)
        )
        return export_network(
            module, out, read, checkpoint=checkpoint.path, int8=int8, reliability=reliability, tell=tell
        )


def _examples_of_run(checkpoint: Checkpoint, arguments: Arguments) -> Examples:
    try:
        with translated_faults(arguments):
            data = _data_of(checkpoint)
            data.setup("fit")  # training images calibrate
    except TlearnError as error:
        raise TlearnError(
            f"the run's validation images, to check the export with, cannot be had: {error}; or check it with other "
            "pictures: --data FOLDER"
        ) from error
    if not data.validates:
        return Examples(data.dataset("train"), data.dataset("train"), "training images", labelled=True)
    return Examples(data.dataset("val"), data.dataset("train"), "validation images", labelled=True)


def _data_of(checkpoint: Checkpoint) -> ImageDataModule:
    """Make the data module of the run that wrote a checkpoint.

    Raises:
        TlearnError: The checkpoint does not say, the data are not there, or they have other classes by now.
    """
    if "data" not in checkpoint.config:
        raise TlearnError(f"{checkpoint.path.name} was written from Python and does not name its data")
    followed = Namespace({name: checkpoint.config["model"][name] for name in FOLLOWED})
    config = Namespace(data=parse_data(checkpoint.config["data"]), model=followed)
    settle_pictures(config, checkpoint)
    data = make_data(config.data)
    if not same_names(data.class_names, checkpoint.class_names):
        raise TlearnError(f"the data have the classes {', '.join(data.class_names)} by now, not the checkpoint's")
    return data
