"""The verb `export`: write the network of a checkpoint in another form, checked."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from jsonargparse import Namespace

from tlearn.base.errors import TlearnError, unknown
from tlearn.base.files import check_folder_of
from tlearn.base.machine import limit_threads
from tlearn.base.name_forms import same_names
from tlearn.cli.arguments import Arguments
from tlearn.cli.defaults import make_data, parse_data, settle_pictures
from tlearn.cli.faults import translated_faults
from tlearn.cli.quiet import quieten
from tlearn.cli.resume import Checkpoint, open_checkpoint
from tlearn.data.datamodule import ImageDataModule
from tlearn.deploy.check import Examples, examples_from_folders
from tlearn.deploy.export import export_network
from tlearn.deploy.loading import framing_of, load_module


def export_checkpoint(arguments: Arguments, out: Path, folders: Sequence[Path], int8: bool) -> None:
    """Write the network of the checkpoint that a command line names.

    Args:
        arguments: The command line.
        out: The file to write.
        folders: Pictures to check with, in place of the run's own data.
        int8: Write 8 bits.

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
        export_network(module, out, read, checkpoint=checkpoint.path, int8=int8)


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
    image_size = checkpoint.config["model"]["image_size"]
    config = Namespace(data=parse_data(checkpoint.config["data"]), model=Namespace(image_size=image_size))
    settle_pictures(config, checkpoint)
    data = make_data(config.data)
    if not same_names(data.class_names, checkpoint.class_names):
        raise TlearnError(f"the data have the classes {', '.join(data.class_names)} by now, not the checkpoint's")
    return data


# What each kind of file needs beyond what tlearn itself does.
_NEEDS = {".onnx": ("onnx", "onnxscript", "onnxruntime"), ".pt2": (), ".safetensors": ()}
_QUANTIZE = ("int8",)
_OPTIONS = ("--ckpt_path", "--out", "--quantize", "--data")
# What says where runs lie, for best, last and wise_ft.
_PLACES = ("--trainer.default_root_dir", *(f"--trainer.logger.{n}" for n in ("save_dir", "name")))
_PLACES += tuple(f"--trainer.logger.init_args.{n}" for n in ("save_dir", "name"))
_USAGE = """usage: python -m tlearn export --ckpt_path RUN_OR_FILE --out FILE [--quantize int8] [--data FOLDER ...]

writes a trained network as one file, and checks it on the run's validation images before it gets its name

  --ckpt_path RUN_OR_FILE  a run folder, a checkpoint, or best, last, wise_ft (--config NAME says of which config)
  --out FILE               NAME.onnx         for ONNX Runtime, without torch; preprocessing and probabilities inside
                           NAME.pt2          for torch.export.load; likewise
                           NAME.safetensors  the weights, and NAME.json to rebuild the network from
  --quantize int8          .onnx alone: 8-bit weights and activations, calibrated on training images
  --data FOLDER ...        pictures to check (and calibrate) with, where the run's own data cannot be had"""


@dataclass(frozen=True)
class _Options:
    """What was asked for.

    Attributes:
        out: The file to write.
        quantize: ``int8``, or ``None`` for float32.
        data: Folders of pictures in place of the run's own data.
    """

    out: Path
    quantize: str | None
    data: tuple[Path, ...]


def export(arguments: Arguments) -> None:
    """Write the network of a checkpoint as a file that works without its run.

    Raises:
        TlearnError: A wrong option, a missing package or folder, said before the checkpoint is read; a network that
            cannot be exported; an export that answers differently, of which nothing is left.
    """
    if any(word in ("-h", "--help") for word in arguments.options):
        print(_USAGE)
        return
    options = _parsed(arguments.options)
    _refuse_early(options)
    from tlearn.commands.export import export_checkpoint

    export_checkpoint(arguments, options.out, options.data, options.quantize == "int8")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise what is wrong, in one line, in place of a page of usage."""
        raise TlearnError(f"export: {message}")


def _parsed(words: list[str]) -> _Options:
    parser = _Parser(add_help=False, allow_abbrev=False)
    for option in ("--ckpt_path", *_PLACES):  # read by resume.open_checkpoint
        parser.add_argument(option)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quantize")
    parser.add_argument("--data", type=Path, nargs="+", default=[], action="extend")
    found, others = parser.parse_known_args(words)
    if others:
        name = others[0].partition("=")[0]
        if name.startswith("-"):
            raise unknown("option of export", name, _OPTIONS)
        raise TlearnError(f"export: unexpected word '{others[0]}'; a file is named with --ckpt_path or --out")
    if found.out is None:
        raise TlearnError(f"export needs --out, a file that ends in {_listed(_NEEDS)}")
    return _Options(found.out, found.quantize, tuple(found.data))


def _refuse_early(options: _Options) -> None:
    out = options.out
    _refuse_place(out)
    if options.quantize is not None and options.quantize not in _QUANTIZE:
        raise unknown("value of --quantize", options.quantize, _QUANTIZE)
    if options.quantize is not None and out.suffix != ".onnx":
        raise TlearnError(f"--quantize {options.quantize} makes an .onnx file; --out is {out}")
    for place in options.data:
        if not place.is_dir():
            raise TlearnError(f"--data {place}: no folder at {place.absolute()}")
    missing = [name for name in _NEEDS[out.suffix] if not _is_installed(name)]
    if missing:
        raise TlearnError(f"export to {out.suffix} needs: pip install 'tlearn[export]' (missing: {', '.join(missing)})")


def _refuse_place(out: Path) -> None:
    if out.suffix not in _NEEDS:
        raise TlearnError(f"--out {out}: expected a file that ends in {_listed(_NEEDS)}")
    check_folder_of(out)
    if out.is_dir():
        raise TlearnError(f"--out {out} is a folder, expected the name of a file")


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:  # imported, by something that is no file
        return True


def _listed(kinds: Iterable[str]) -> str:
    *first, last = kinds
    return f"{', '.join(first)} or {last}"
