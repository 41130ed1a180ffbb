"""``advise --backbones``: which of several networks, by probes on ever more pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tlearn.analysis.backbones.choice import Contest, TriedNetwork
from tlearn.analysis.backbones.contest import Entry, contest
from tlearn.analysis.backbones.halving import MOST_SHARE
from tlearn.base.errors import TlearnError
from tlearn.base.progress import Progress
from tlearn.cli.arguments import Arguments, VerbParser
from tlearn.cli.faults import translated_faults
from tlearn.commands.probe import drop_strategy
from tlearn.commands.untrained import UntrainedCLI, untrained
from tlearn.models.backbones.backbone import TIMM
from tlearn.models.backbones.timm_networks import timm_configs
from tlearn.models.weights.at_hand import networks_at_hand
from tlearn.training.module import TransferModule

_OPTION, _AUTO, _DEFAULT = "--backbones", "auto", "DEFAULT"
_FORM = "names such as resnet18,timm/tf_efficientnet_lite0=FILE"


class Named(NamedTuple):
    """A network as it was named: ``model.backbone`` and ``model.weights``."""

    backbone: str
    weights: str


def parser_of_backbones() -> VerbParser:
    """Return a parser that takes ``--backbones``."""
    parser = VerbParser()
    parser.option(_OPTION, _FORM)
    return parser


def named_networks(text: str | None, arguments: Arguments) -> list[Named]:
    """Read what ``--backbones`` has; none where it is not given.

    Args:
        text: Its value.
        arguments: The rest of the command line.

    Raises:
        TlearnError: Fewer than two networks, one twice, a file that is none, or a network named elsewhere too.
    """
    if text is None:
        return []
    for other in ("--model.backbone", "--model.weights"):
        if arguments.value_of(other) is not None:
            raise TlearnError(f"{_OPTION} and {other} both say which network; drop one")
    return named_in(text)


def named_in(text: str) -> list[Named]:
    """Read ``NAME,NAME=FILE,auto``.

    Raises:
        TlearnError: See `named_networks`.
    """
    found = list[Named]()
    for word in (part.strip() for part in text.split(",")):
        name, given, file = word.partition("=")
        if not name or (given and not file):
            raise TlearnError(f"{_OPTION} expects {_FORM}, got '{text}'")
        if given and not Path(file).expanduser().is_file():
            raise TlearnError(f"{_OPTION} {name}: no file of weights at {file}; check the path")
        found += (
            [Named(each, _DEFAULT) for each in networks_at_hand()] if word == _AUTO else [Named(name, file or _DEFAULT)]
        )
    files = [(each.backbone, Path(each.weights).expanduser().resolve()) for each in found]  # one may be spelt two ways
    if twice := next((each for each, own in zip(found, files, strict=True) if files.count(own) > 1), None):
        raise TlearnError(f"{_OPTION} names {twice.backbone} twice; drop one")
    if len(found) < 2:
        there = ", ".join(each.backbone for each in found) or "none"
        if _AUTO in text:
            raise TlearnError(
                f"{_OPTION} auto compares networks whose weights are on this machine, two at least; found {there}; "
                f"name others: {_FORM}"
            )
        raise TlearnError(
            f"{_OPTION} compares two networks at least, got {there}; to take it: --model.backbone {there}"
        )
    return found


def with_network(arguments: Arguments, network: Named | TriedNetwork) -> Arguments:
    """Let a command line take this network."""
    words = [f"--model.backbone={network.backbone}", f"--model.weights={network.weights}"]
    return replace(arguments, options=[*arguments.options, *words])


def choose_network(named: Sequence[Named], arguments: Arguments, sizes_px: Sequence[int], folds: int | None) -> Contest:
    """Probe the networks on a command line's data.

    Args:
        named: The networks.
        arguments: A command line of ``fit`` without a network.
        sizes_px: Image sizes to choose from later; networks are compared at the largest.
        folds: See `tlearn.analysis.probe.probe`.

    Raises:
        TlearnError: A network or weights that cannot be had, before any picture is looked at; what a fit refuses.
    """
    change = partial(_of_contest, sizes_px=sizes_px)
    cli = untrained(with_network(arguments, named[0]), change=change)
    with translated_faults(arguments):
        modules = [cli.model, *(_module(cli.model, each) for each in named[1:])]
        entries = {
            name: Entry(*each, _licence(each), module)
            for name, each, module in zip(_labels(named), named, modules, strict=True)
        }
        with cli.looking(), Progress("networks"):
            for each in entries.values():
                each.module.to(cli.model.device)
                each.module.answer_in(cli.model.unit)
                if not each.module.preprocess.is_known:
                    each.module.preprocess.load_state_dict(cli.model.preprocess.state_dict())
            return contest(cli.trainer, entries, folds)


def _of_contest(cli: UntrainedCLI, sizes_px: Sequence[int]) -> None:
    drop_strategy(cli, "advise", sizes_px)
    if sizes_px:
        cli.config[cli.verb].model.image_size = max(sizes_px)


def _labels(named: Sequence[Named]) -> list[str]:
    """Name each by its network; one that is named with several weights by these, in whole where files share a name."""
    names = [each.backbone for each in named]
    short = [(each.backbone, Path(each.weights).name) for each in named]
    return [
        each.backbone
        if names.count(each.backbone) == 1
        else f"{each.backbone}={own[1] if short.count(own) == 1 else each.weights}"
        for each, own in zip(named, short, strict=True)
    ]


def _module(like: TransferModule, named: Named) -> TransferModule:
    names = ("image_size", "in_channels", "pixel_mean", "pixel_std")
    options = {name: getattr(like.options, name) for name in names}
    return TransferModule(
        like.num_classes, like.class_names, like.task, backbone=named.backbone, weights=named.weights, **options
    )


def _licence(named: Named) -> str | None:
    """Return what timm says of the weights that it fetches; of a file nobody knows."""
    if named.weights != _DEFAULT or not named.backbone.startswith(TIMM):
        return None
    configs, tag = timm_configs(named.backbone), named.backbone.partition(".")[2]
    config = configs.get(tag) if tag else next(iter(configs.values()), None)
    return getattr(config, "license", None)


def print_networks(found: Contest) -> None:
    """Print the table of networks, and which is advised and why."""
    share = f" {found.score} %\n[95 %]"
    table = Table(
        title=f"networks at {found.image_size_px} px", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    table.add_column("network", overflow="fold")
    for column in (share.strip(), "pictures\nseen", "s for\n1,000", "MB", "LogME"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("licence", overflow="fold")
    for each in found.tried:
        name = f"[bold]{escape(each.name)} *[/]" if each is found.chosen else escape(each.name)
        interval = "" if each.low is None or each.high is None else f" \\[{100 * each.low:.0f}, {100 * each.high:.0f}]"
        cells = (f"{100 * each.score:.1f}{interval}", f"{each.images:,}", f"{each.seconds_per_1000:.1f}")
        table.add_row(name, *cells, f"{each.megabytes:.0f}", f"{each.logme:.2f}", escape(each.licence or "-"))
    Console().print(table)
    print(network_words(found))


def network_words(found: Contest) -> str:
    """Say which network is advised and why, and which quicker one may do."""
    chosen, quicker, share = found.chosen, found.quicker, 100 * found.passes / found.all_passes
    limit = "" if share <= 100 * MOST_SHARE else f", more than {100 * MOST_SHARE:.0f} %, for there are few pictures"
    lines = [f"network: {chosen.name} (the best of those that saw {chosen.images:,} pictures)"]
    if quicker is not None:
        times = chosen.seconds_per_1000 / quicker.seconds_per_1000
        lines.append(f"within the noise of it, and {times:.1f} times as quick: {quicker.name}")
    lines.append(f"pictures through networks: {found.passes:,}, {share:.0f} % of probing all fully{limit}")
    return "\n".join(lines)
