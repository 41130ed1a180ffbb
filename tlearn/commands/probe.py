"""The verb `probe`: what each stage of the network is worth for these images."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from jsonargparse import Namespace
from lightning.pytorch import Callback, Trainer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tlearn.analysis.probe import Probe, ProbeCallback
from tlearn.base.errors import TlearnError
from tlearn.base.files import check_folder_of, write_whole
from tlearn.cli.arguments import Arguments
from tlearn.cli.transfer_cli import TransferCLI, run_as
from tlearn.training.typed import callbacks_of


def print_probe(found: Probe) -> None:
    """Print the table, the best tap and what it cost."""
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
    print("ridge and neighbours: on validation; left out: each training image by a layer made without it; * the best")
    best, taps = found.best, ",".join(found.taps)
    tap = f"[{taps}]" if len(found.taps) > 1 else taps
    solved = "" if best.logistic is None else f", {100 * best.logistic:.1f} % by logistic regression"
    print(f"best tap: {best.stage} at {best.image_size_px} px: {100 * best.ridge:.1f} % by ridge{solved}")
    print(f"to use it: --model.freeze_backbone true --model.tap {tap} --model.image_size {best.image_size_px}")
    print_copies(found)
    passes = ", ".join(f"{time_s:.1f} s at {size} px" for size, time_s in found.pass_time_s.items())
    print(f"the passes over the network took {passes}; all of it {found.time_s:.1f} s")


def print_copies(found: Probe) -> None:
    """Warn of images that the network cannot tell apart, if there are any."""
    if found.copies:
        print(f"{found.copies} of {found.train_images} training images are copies of another: they add nothing")
    if found.shared:
        print(
            f"{found.shared} of {found.val_images} validation images are training images too: scores look better than "
            "they are; for picture files `python -m tlearn doctor --fix` leaves them out"
        )


_OUT, _SIZES = "--out", "--image_sizes"
_USAGE = """usage: python -m tlearn probe --config CONFIG [--image_sizes 32,64,128] [--out probe.json]

one pass over training and validation images per image size; linear probes on every stage of the network as it comes
from model.weights, nearest neighbours as a check; CONFIG and options are those of fit, of which the strategy is ignored

  --image_sizes S,S  sides in pixels of what the network sees; model.image_size, or the data's own, by default
  --out FILE         write all of it as JSON; it is in the run folder too, with a curve per stage for TensorBoard"""
# What a strategy would change about the network as it was pretrained.
_STRATEGY: dict[str, Any] = {
    "tap": None,
    "head_hidden": None,
    "head_dropout": 0.0,
    "freeze_backbone": False,
    "freeze_until": None,
    "lr_scales": None,
    "rules": None,
    "unfreeze": None,
    "head_init": "random",
    "head_solver": "sgd",
    "l2_sp": None,
    "wise_ft": False,
    "cache_views": 1,
    "lr_scheduler": None,
    "lr_interval": None,
    "warmup_steps": None,
    "warmup_epochs": None,
}


class ProbeCLI(TransferCLI):
    """The command line of ``fit``: network and data as they are, without the strategy, and without any step."""

    sizes_px: tuple[int, ...] = ()
    place = "probe"
    chooses = True

    def before_instantiate_classes(self) -> None:
        """Take the strategy away, and let picture files be read at the largest size."""
        config = self.config[self.verb]
        config.model.update(Namespace(_STRATEGY))
        self.run_name = f"{self.place}/{self.run_name}"
        super().before_instantiate_classes()
        given = self.plain["data"].get("init_args", {})
        if self.sizes_px and "size_px" in given and given["size_px"] is None:
            config.data.init_args.size_px = max(self.sizes_px)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Take away what only training needs, the user's callbacks too."""
        bare: dict[str, Any] = {
            "callbacks": None,
            "enable_checkpointing": False,
            "num_sanity_val_steps": 0,
            "max_epochs": 1,
        }
        bare |= {"limit_train_batches": 1.0, "limit_val_batches": 1.0, "fast_dev_run": False}
        return super().instantiate_trainer(**bare, min_epochs=None, min_steps=None, max_steps=-1, **kwargs)

    def own_callbacks(self, config: dict[str, Any]) -> list[Callback]:
        """Probe, and nothing else."""
        return [ProbeCallback(self.sizes_px)]


_Kind = TypeVar("_Kind", bound=ProbeCLI)


def probe(arguments: Arguments) -> Probe | None:
    """Print what each stage is worth, and write it into the run folder and where ``--out`` says.

    Raises:
        TlearnError: A fault in the words, data or weights that nothing can be told from, or whatever ``fit`` refuses.
    """
    if any(word in ("-h", "--help") for word in arguments.options):
        print(_USAGE)
        return None
    out, sizes_px, arguments = take_words(arguments)
    cli = run_as(with_sizes(ProbeCLI, sizes_px), arguments)
    found = next(c for c in callbacks_of(cli.trainer) if isinstance(c, ProbeCallback)).probe
    assert found is not None
    print_probe(found)
    write_result(cli.trainer, "probe.json", asdict(found), out)
    return found


def take_words(arguments: Arguments) -> tuple[Path | None, tuple[int, ...], Arguments]:
    """Take ``--out`` and ``--image_sizes`` out of a command line, and make the rest one of ``fit``.

    Raises:
        TlearnError: A value is missing or wrong, or ``--ckpt_path`` is given.
    """
    out, arguments = arguments.take(_OUT, "a value")
    sizes, arguments = arguments.take(_SIZES, "a value")
    if arguments.value_of("--ckpt_path"):
        raise TlearnError("this looks at a network before it is trained; to look at your own: --model.weights PATH")
    if out is not None:
        check_folder_of(Path(out))
    return Path(out) if out else None, _sizes(sizes) if sizes else (), replace(arguments, verb="fit")


def _sizes(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.strip("[]").split(",")]
    if not all(word.isdigit() and int(word) > 0 for word in words) or len(set(words)) < len(words):
        raise TlearnError(f"{_SIZES} expects different sides in pixels such as 32,64,128, got '{text}'")
    return tuple(sorted(map(int, words)))


def with_sizes(kind: type[_Kind], sizes_px: tuple[int, ...]) -> type[_Kind]:
    """Return the command line with these image sizes: a parser of Lightning's makes it, which takes none of ours."""
    return type(kind.__name__, (kind,), {"sizes_px": sizes_px})


def write_result(trainer: Trainer, name: str, content: dict[str, Any], out: Path | None) -> None:
    """Write a result into the run folder, and where ``--out`` says, and name the places."""
    places = [Path(trainer.log_dir, name)] if trainer.log_dir else []
    for place in [*places, *([out] if out else [])]:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, json.dumps(content, indent=1))
        print(f"all of it: {place}")
