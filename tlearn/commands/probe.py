"""The verb ``probe``, and `tlearn.probe`: what each stage of the network is worth for your images."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from jsonargparse import Namespace
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tlearn.analysis.new_group import SHOWN
from tlearn.analysis.probe import Probe, log_curves
from tlearn.analysis.probe import probe as probe_stages
from tlearn.base.errors import TlearnError
from tlearn.base.files import check_folder_of, write_whole
from tlearn.base.intervals import FEW_GROUPS, percent, share_words
from tlearn.base.machine import best_precision
from tlearn.base.program import program
from tlearn.base.progress import Progress
from tlearn.cli.arguments import Arguments, VerbParser, with_own
from tlearn.cli.faults import translated_faults
from tlearn.cli.isolation import called_from_python
from tlearn.cli.targets.calls import arguments_of
from tlearn.commands.untrained import UntrainedCLI, untrained
from tlearn.data.images.folds import FEWEST_FOLDS
from tlearn.models.options import FreezeOptions, NetworkOptions
from tlearn.training.options import CacheOptions, HeadStartOptions, RateOptions


def print_probe(found: Probe) -> None:
    """Print the table, what its columns are, and what it took."""
    title = f"{found.score} in %, {found.train_images} training and {found.val_images} validation images"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("image size", "stage", "features", "ridge", "left out", "neighbours"):
        table.add_column(column, justify="left" if column == "stage" else "right", overflow="fold")
    for each, following in zip_longest(found.stages, found.stages[1:]):
        name = f"[bold]{each.stage} *[/]" if each == found.best else each.stage
        scores = [f"{100 * value:.1f}" for value in (each.ridge, each.left_out, each.neighbours)]
        ends = following is not None and following.image_size_px != each.image_size_px
        table.add_row(f"{each.image_size_px} px", name, f"{each.width:,}", *scores, end_section=ends)
    Console().print(table)
    print("ridge: a linear layer, on validation images; neighbours: the five nearest, likewise")
    print(f"left out: each training image, by a layer that was made without {_left_out_with(found)}; *: the best")
    print_copies(found)
    print_new_group(found)
    passes = ", ".join(f"{size} px {time_s:.0f} s" for size, time_s in found.pass_time_s.items())
    print(f"took {found.time_s:.0f} s, of which the network itself: {passes}")


def _left_out_with(found: Probe) -> str:
    if found.folds is not None:
        return f"its fold of {found.folds}"
    return "it" if found.new_group is None else "its group"


def print_new_group(found: Probe) -> None:
    """Say what to expect at a group that was not seen, with a table of those that were, the worst first."""
    expected = found.new_group
    if expected is None:
        return
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("group", overflow="fold")
    for column in ("images", f"{found.score} %"):
        table.add_column(column, justify="right")
    for each in expected.groups[:SHOWN]:
        table.add_row(escape(each.group), f"{each.images:,}", "-" if each.score is None else f"{100 * each.score:.1f}")
    Console().print(table)
    if (more := len(expected.groups) - SHOWN) > 0:
        print(f"and {more} more, none worse than these")
    ends = expected.interval
    interval = "" if ends is None else f" [{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]"
    count = len(expected.groups)
    rough = f" (rough: fewer than {FEW_GROUPS})" if ends is not None and count < FEW_GROUPS else ""
    print(f"at a new group: {percent(expected.score)}{interval}, each of {count} groups left out in turn{rough}")
    print(f"a random split says {percent(expected.random_split)}: {100 * expected.flattery:+.1f} points")


def print_best(found: Probe) -> None:
    """Print the best tap, and the options of ``fit`` that use it: one line to be pasted, the last of all."""
    best, taps = found.best, ",".join(found.taps)
    tap = f"[{taps}]" if len(found.taps) > 1 else taps
    reached = score_words(found, best.ridge, found.val_images)
    print(f"best tap: {best.stage} at {best.image_size_px} px: {reached} by ridge")
    if best.logistic is not None:
        solved = score_words(found, best.logistic, found.val_images)
        print(f"with the head that fit solves (logistic regression): {solved}")
    print(f"to use it: --model.freeze_backbone true --model.tap {tap} --model.image_size {best.image_size_px}")


def score_words(found: Probe, score: float, images: int) -> str:
    """Say a score of a probe over so many images, with its interval where it is a share of right answers."""
    return share_words(score * images, images) if found.score == "accuracy" else percent(score)


def print_copies(found: Probe) -> None:
    """Warn of images that the network cannot tell apart, if there are any."""
    if found.copies:
        print(f"{found.copies} of {found.train_images} training images are copies of another: they add nothing")
    if found.shared:
        print(
            f"{found.shared} of {found.val_images} validation images are training images too: scores look better "
            f"than they are;\nfor picture files `{program()} doctor --fix` leaves them out"
        )


_HEAD = ("tap", "head_hidden", "head_dropout")
# They hold whatever the strategy is.
_WHATEVER = ("batch_norm", "unfreeze_warmup_steps", "feature_cache", "feature_cache_gb")
# The options of the model that are a strategy, with their values where there is none.
STRATEGY: dict[str, Any] = {
    option.name: option.default
    for group in (NetworkOptions, FreezeOptions, HeadStartOptions, CacheOptions, RateOptions)
    for option in fields(group)
    if (option.name in _HEAD if group is NetworkOptions else option.name not in _WHATEVER)
} | {"lr_scheduler": None}
_NO_TRAINING: dict[str, Any] = {
    "callbacks": None,
    "enable_checkpointing": False,
    "num_sanity_val_steps": 0,
    "max_epochs": 1,
    "max_steps": -1,
    "min_epochs": None,
    "min_steps": None,
    "limit_train_batches": 1.0,
    "limit_val_batches": 1.0,
    "fast_dev_run": False,
}


def probe(
    config: str | Path | Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    image_sizes: Sequence[int] | None = None,
    folds: int | None = None,
    out: str | Path | None = None,
) -> Probe:
    """Measure what each stage of a network is worth for your images, as ``tlearn probe`` does.

    Args:
        config: A folder of pictures, a table or a config, as for `tlearn.fit`. Its strategy does not matter.
        options: Dotted option names to values; they beat the config.
        image_sizes: Sides in pixels of what the network sees; by default ``model.image_size``, or the data's own.
        folds: Leave out training images by so many folds, of whole groups; by default by group, or by image.
        out: A JSON file to write the result to. It is in the run folder ``runs/probe/...`` too.

    Raises:
        TlearnError: A fault in the options, the data or the weights, or whatever `tlearn.fit` refuses.
    """
    with called_from_python():
        looked = _look(arguments_of("probe", config, with_own(options, image_sizes=image_sizes, folds=folds, out=out)))
        write_result(looked.cli, "probe.json", asdict(looked.found), looked.out)
        return looked.found


def run(arguments: Arguments) -> None:
    """Print what each stage is worth, and write it into the run folder and where ``--out`` says."""
    looked = _look(arguments)
    print_probe(looked.found)
    for place in write_result(looked.cli, "probe.json", asdict(looked.found), looked.out):
        print(f"all of it: {place}")
    print_best(looked.found)


class _Looked(NamedTuple):
    cli: UntrainedCLI
    found: Probe
    out: Path | None


def _look(arguments: Arguments) -> _Looked:
    own, sizes_px, folds, arguments = take_words(arguments)
    cli = untrained(arguments, change=partial(drop_strategy, place="probe", sizes_px=sizes_px))
    parts = 3 if cli.model.task == "classification" else 2  # the head of the best is solved too
    with translated_faults(arguments), cli.measuring(), Progress("probe", parts, parts=True):
        found, _ = probe_stages(cli.trainer, cli.model, sizes_px, folds)
        log_curves(cli.trainer.loggers, found)
    return _Looked(cli, found, own.out)


def drop_strategy(cli: UntrainedCLI, place: str, sizes_px: Sequence[int], takes_steps: bool = False) -> None:
    """Take the strategy out of the options, and what only training needs, the user's callbacks too.

    Args:
        cli: The command line, parsed.
        place: The folder of its runs under the root of runs.
        sizes_px: Image sizes. Picture files are decoded at the largest.
        takes_steps: The network is trained after all, for a few steps; else its precision is that of a fixed one.
    """
    cli.run_name = f"{place}/{cli.run_name}"
    config = cli.config[cli.verb]
    config.model.update(Namespace(STRATEGY))
    config.trainer.update(Namespace(_NO_TRAINING))
    if config.trainer.precision is None and not takes_steps:
        config.trainer.precision = best_precision(str(config.trainer.accelerator))
    data = config.data.get("init_args") or Namespace()
    if sizes_px and "size_px" in data and data.size_px is None:
        data.size_px = max(sizes_px)


def take_words(
    arguments: Arguments, parser: VerbParser | None = None
) -> tuple[argparse.Namespace, tuple[int, ...], int | None, Arguments]:
    """Take ``--out``, ``--image_sizes`` and ``--folds`` out of a command line, and make the rest one of ``fit``.

    Args:
        arguments: The command line.
        parser: Knows what else to take.

    Returns:
        All that was taken, of which the image sizes and the folds once more, and the rest.

    Raises:
        TlearnError: A value is missing or wrong, or ``--ckpt_path`` is given.
    """
    parser = parser or VerbParser()
    parser.option("--image_sizes", "a value", _sizes, default=())
    parser.option("--folds", "a number", _folds)
    parser.option("--out", "a value", Path)
    own, arguments = parser.take(arguments)
    if arguments.value_of("--ckpt_path"):
        raise TlearnError("this looks at a network before it is trained; to look at your own: --model.weights PATH")
    if own.out is not None:
        check_folder_of(own.out)
    return own, own.image_sizes, own.folds, replace(arguments, verb="fit")


def _folds(text: str) -> int:
    if not text.isdigit() or int(text) < FEWEST_FOLDS:
        raise TlearnError(f"--folds expects a whole number from {FEWEST_FOLDS} on, got '{text}'")
    return int(text)


def _sizes(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.strip("[]").split(",")]
    if not all(word.isdigit() and int(word) > 0 for word in words) or len(set(words)) < len(words):
        raise TlearnError(f"--image_sizes expects different sides in pixels such as 32,64,128, got '{text}'")
    return tuple(sorted(map(int, words)))


def write_result(cli: UntrainedCLI, name: str, content: dict[str, Any], out: Path | None) -> list[Path]:
    """Write a result as JSON into the run folder and to another file, and return both paths."""
    folder = cli.trainer.log_dir
    places = [*([Path(folder, name)] if folder else []), *([out] if out else [])]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, json.dumps(content, indent=1))
    return places
