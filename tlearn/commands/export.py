"""The verb ``export``, and `tlearn.export`: a checkpoint as a file. Wrong options are refused before torch loads."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from tlearn.base.errors import TlearnError, unknown
from tlearn.base.files import check_folder_of
from tlearn.cli.arguments import Arguments, with_own
from tlearn.cli.isolation import called_from_python
from tlearn.cli.targets.calls import arguments_of_run
from tlearn.deploy.reliability.options import CoverageBy, ReliabilityOptions, check_outputs_fit

if TYPE_CHECKING:
    from tlearn.deploy.check import Agreement

# What each kind of file needs beyond what tlearn itself does.
_NEEDS = {".onnx": ("onnx", "onnxscript", "onnxruntime"), ".pt2": (), ".safetensors": ()}
_QUANTIZE = ("int8",)
_OPTIONS: tuple[str, ...] = ("--ckpt_path", "--out", "--quantize", "--data")
_OPTIONS += ("--coverage", "--coverage_by", "--min_accuracy", "--unknown")
# What says where runs lie, for best, last and wise_ft.
_PLACES = ("--trainer.default_root_dir", *(f"--trainer.logger.{n}" for n in ("save_dir", "name")))
_PLACES += tuple(f"--trainer.logger.init_args.{n}" for n in ("save_dir", "name"))


@dataclass(frozen=True)
class _Options:
    """The options of an export.

    Attributes:
        out: The file to write.
        quantize: ``int8``, or ``None`` for float32.
        data: Folders of pictures in place of the run's own data.
        reliability: What further outputs tell.
    """

    out: Path
    quantize: str | None
    data: tuple[Path, ...]
    reliability: ReliabilityOptions


@dataclass(frozen=True)
class Export:
    """A network that was written as a file, and checked.

    Attributes:
        path: The file.
        agreement: How near its answers are to the library's on the same images.
        notes: What the command line prints: what it was checked on, what 8 bits cost, and what was written.
    """

    path: Path
    agreement: Agreement
    notes: list[str]


def export(
    config: str | Path | Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    ckpt_path: str | Path | None = None,
    out: str | Path,
    quantize: Literal["int8"] | None = None,
    data: str | Path | Sequence[str | Path] = (),
    coverage: float | None = None,
    coverage_by: CoverageBy = "all",
    min_accuracy: float | None = None,
    unknown: bool = False,
) -> Export:
    """Write the network of a checkpoint as a file that works without its run.

    Args:
        config: A run: its folder, ``runs/my_pictures`` for the newest of them, or a checkpoint file. Or a config, of
            whose newest run the best checkpoint is taken.
        options: Dotted names of options that say where runs lie, such as ``trainer.default_root_dir``, to values.
        ckpt_path: Another checkpoint than the best one: ``last`` or ``wise_ft``, a run folder or a file.
        out: The file to write. Its ending is ``.onnx``, ``.pt2`` or ``.safetensors``.
        quantize: ``int8`` writes 8-bit weights and activations, calibrated on training images; ``.onnx`` alone.
        data: Folders of pictures to check and calibrate with; by default the run's own images.
        coverage: Adds the output ``answer_set``, or ``low`` and ``high`` of values; see `tlearn.predict`.
        coverage_by: Whom that is promised; see there.
        min_accuracy: Adds the output ``answered``; see there.
        unknown: Adds ``stranger``, and ``answered``, which is false for strangers.

    Raises:
        TlearnError: A wrong argument, a missing package or folder, or a network that cannot be exported; an export that
            answers differently, of which nothing is left.
    """
    with called_from_python():
        asked = ReliabilityOptions(coverage, coverage_by, min_accuracy, unknown)
        own = with_own(options, out=out, quantize=quantize, **asked.typed)
        arguments = arguments_of_run("export", config, own, ckpt_path)
        folders = [data] if isinstance(data, (str, Path)) else data
        arguments.options.extend(["--data", *map(str, folders)] if folders else [])
        return _export(arguments)


def run(arguments: Arguments) -> None:
    """Write the network of a checkpoint as a file, and print what it was checked on."""
    _export(arguments, print)


def _export(arguments: Arguments, tell: Callable[[str], object] = lambda _: None) -> Export:
    options, notes = _parsed(arguments.options), list[str]()
    _refuse_early(options)
    from tlearn.commands.checked_export import export_checkpoint

    def note(line: str) -> None:
        notes.append(line)
        tell(line)

    agreement = export_checkpoint(
        arguments, options.out, options.data, options.quantize == "int8", options.reliability, note
    )
    return Export(options.out, agreement, notes)


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
    parser.add_argument("--coverage", type=_share)
    parser.add_argument("--coverage_by", default="all")
    parser.add_argument("--min_accuracy", type=_share)
    parser.add_argument("--unknown", choices=("true", "false"), type=str.lower, default="false")
    found, others = parser.parse_known_args(words)
    if others:
        name = others[0].partition("=")[0]
        if name.startswith("-"):
            raise unknown("option of export", name, _OPTIONS)
        raise TlearnError(f"export: unexpected word '{others[0]}'; a file is named with --out")
    if found.out is None:
        raise TlearnError(f"export needs --out, a file that ends in {_listed(_NEEDS)}")
    asked = ReliabilityOptions(found.coverage, found.coverage_by, found.min_accuracy, found.unknown == "true")
    return _Options(found.out, found.quantize, tuple(found.data), asked)


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a share such as 0.9, got {text}") from None


def _refuse_early(options: _Options) -> None:
    out = options.out
    _refuse_place(out)
    if options.quantize is not None and options.quantize not in _QUANTIZE:
        raise unknown("value of --quantize", options.quantize, _QUANTIZE)
    if options.quantize is not None and out.suffix != ".onnx":
        raise TlearnError(f"--quantize {options.quantize} makes an .onnx file; --out is {out}")
    check_outputs_fit(out, options.quantize is not None, options.reliability)
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


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:  # imported, by something that is no file
        return True


def _listed(kinds: Iterable[str]) -> str:
    *first, last = kinds
    return f"{', '.join(first)} or {last}"
