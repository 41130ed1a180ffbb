"""Print a comparison: a row for each contender, the best first, and below it an explanation of the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tlearn.analysis.ranking import Standing
from tlearn.base.intervals import FEW_GROUPS
from tlearn.base.terminal.wrapping import filled


@dataclass(frozen=True)
class Cost:
    """The cost of a contender.

    Attributes:
        seconds: Mean over its runs.
        peak_memory_bytes: Maximum over its runs.
        trainable_parameters: Number of parameters that trained at any time.
    """

    seconds: float
    peak_memory_bytes: int
    trainable_parameters: int


@dataclass(frozen=True)
class About:
    """The conditions of a comparison.

    Attributes:
        score: Kind of an image's score: ``accuracy``, ``F1`` or ``absolute error``.
        images: Number of validation images.
        seeds: Number of runs of each contender.
        exact: The test was McNemar's, else one by permutation.
        folds: Number of folds of the training images, each of which validates once; ``None`` without folds.
        groups: Number of groups, which no fold divides; ``None`` without groups.
    """

    score: str
    images: int
    seeds: int
    exact: bool
    folds: int | None = None
    groups: int | None = None

    @property
    def factor(self) -> float:
        """Return what scores are multiplied with to be shown: shares are shown in per cent."""
        return 1.0 if self.score == "absolute error" else 100.0


def print_comparison(standings: Sequence[Standing], costs: Mapping[str, Cost], about: About) -> None:
    """Print the table, what interval and test are, and who cannot be told from the best.

    Args:
        standings: The best first.
        costs: Name to cost.
        about: The conditions of the comparison.
    """
    unit = " %" if about.factor != 1 else ""
    table = Table(box=SIMPLE_HEAD, padding=0)
    table.add_column("", overflow="fold")
    over_seeds = "\nlowest to highest" if about.seeds > 1 else ""
    for column in (f"{about.score}{unit}\n[95 % interval]{over_seeds}", "to the best"):
        table.add_column(Text(column), justify="right", no_wrap=True)
    for column in ("seconds", "peak\nMB", "trained\nparameters"):
        table.add_column(column, justify="right", no_wrap=True)
    for standing in standings:
        table.add_row(*(Text(cell) for cell in _row(standing, costs[standing.name], about)))
    Console().print(table)
    print("\n".join(_caption(len(standings), about)))
    for told in (_alike(standings), _overlapping(standings) if about.seeds > 1 else ""):
        if told:
            print(filled(told))


def _row(standing: Standing, cost: Cost, about: About) -> list[str]:
    def shown(value: float, sign: str = "") -> str:
        return f"{value * about.factor:{sign}.{1 if about.factor != 1 else 3}f}"

    interval = " [-]" if standing.interval is None else " [{}, {}]".format(*map(shown, standing.interval))
    low, high = map(shown, standing.seeds)
    chance = "" if standing.corrected is None else f"{shown(standing.difference, '+')}, p {_chance(standing.corrected)}"
    return [
        standing.name,
        shown(standing.mean) + interval + (f"\n{low} to {high}" if about.seeds > 1 else ""),
        chance or "best",
        f"{cost.seconds:.{0 if cost.seconds >= 10 else 1}f}",
        f"{cost.peak_memory_bytes / 1e6:,.0f}",
        _number(cost.trainable_parameters),
    ]


def _number(parameters: int) -> str:
    """Write a number of parameters in three digits: it is there to be compared."""
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if parameters >= size:
            return f"{parameters / size:.3g} {unit}"
    return str(parameters)


def _chance(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _caption(contenders: int, about: About) -> list[str]:
    unit = "images" if about.groups is None else "groups"
    test = "exact McNemar test" if about.exact else f"paired permutation test over {unit}"
    holm = ", corrected by Holm" if contenders > 2 else ""
    seeds, of = ("1 seed", "") if about.seeds == 1 else (f"{about.seeds} seeds", ", whose scores are means over seeds")
    images = f"{about.images} validation images, the same for all; {seeds}"
    if about.folds is not None:
        images = f"{about.images} training images, each validated once, in one of {about.folds} folds; {seeds}"
    if about.groups is None:
        return [images, f"interval: bootstrap over images{of}", f"p: {test}{holm}", "neither speaks of other seeds"]
    least = f"; with {about.groups} groups it cannot be below {2 / 2**about.groups:.2g}" if about.groups <= 10 else ""
    interval = f"interval: {interval_words(about.groups)}{of}"
    return [images, interval, f"p: {test}{holm}{least}", "neither speaks of other seeds"]


def interval_words(groups: int | None) -> str:
    """Say how an interval was made, and that one over few groups is rough."""
    if groups is None:
        return "bootstrap over images"
    rough = f" (rough: fewer than {FEW_GROUPS})" if groups < FEW_GROUPS else ""
    return f"bootstrap over {groups} whole groups{rough}"


def _alike(standings: Sequence[Standing]) -> str:
    names = [standing.name for standing in standings[1:] if not standing.is_told_apart]
    return f"not distinguishable from {standings[0].name} at 0.05: {', '.join(names)}" if names else ""


def _overlapping(standings: Sequence[Standing]) -> str:
    """Name those that the images tell apart, but that a lucky seed may have put where they are."""
    best = standings[0]
    names = [
        each.name
        for each in standings[1:]
        if each.is_told_apart and each.seeds[0] <= best.seeds[1] and best.seeds[0] <= each.seeds[1]
    ]
    told = f"over seeds these overlap with {best.name}, more may change the order: {', '.join(names)}"
    return told if names else ""
