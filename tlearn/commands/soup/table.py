"""Print what a comparison of runs, soups and ensemble found, at 80 columns."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from tlearn.analysis.ranking import LEVEL
from tlearn.analysis.soups.candidates import Judged
from tlearn.base.terminal.wrapping import filled
from tlearn.commands.compare.table import interval_words
from tlearn.commands.soup.comparison import SoupComparison, Table

_IMAGES = {"val": "validation images", "test": "test images"}


def print_soups(found: SoupComparison) -> None:
    """Print the tables, what is chance, and what is kept."""
    _print_table(found, found.val)
    _say(_greedy(found), _norms(found), _gains(found.val, found.score), _chosen_here(found))
    if found.test is not None:
        _print_table(found, found.test)
        _say(_gains(found.test, found.score), "these images were opened once, for this table; choose nothing by it")
    _say(kept_words(found))


def _print_table(found: SoupComparison, table: Table) -> None:
    unit = " %" if found.factor != 1 else ""
    shown = RichTable(box=SIMPLE_HEAD, padding=0)
    shown.add_column(_IMAGES[table.split], overflow="fold")
    for column in (f"{found.score}{unit}\n[95 % interval]", "loss", "to the best\nsingle run", "passes"):
        shown.add_column(Text(column), justify="right", no_wrap=True)
    for row in table.rows:
        shown.add_row(*(Text(cell) for cell in _row(found, row)))
    Console().print(shown)
    unit = "images" if table.groups is None else "groups"
    test = "exact McNemar test" if table.exact else f"paired permutation test over {unit}"
    holm = ", corrected by Holm" if sum(row.p_value is not None for row in table.rows) > 1 else ""
    _say(
        f"{table.images} {_IMAGES[table.split]}, the same for all; interval: {interval_words(table.groups)}",
        f"p: {test}{holm}",
    )


def _row(found: SoupComparison, row: Judged) -> list[str]:
    def shown(value: float, sign: str = "") -> str:
        return f"{value * found.factor:{sign}.{1 if found.factor != 1 else 3}f}"

    interval = " [-]" if row.interval is None else " [{}, {}]".format(*map(shown, row.interval))
    to_best = ""
    if row.candidate.name == found.members[0]:
        to_best = "best single"
    elif row.p_value is not None and row.difference is not None:
        to_best = f"{shown(row.difference, '+')}, p {_chance(row.p_value)}"
    each = row.candidate
    return [each.name, shown(each.score) + interval, f"{each.loss:.4f}", to_best, str(each.passes)]


def _chance(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _greedy(found: SoupComparison) -> str:
    taken = found.greedy
    if len(taken) == 1:
        return f"greedy soup: takes none beside {taken[0]}, each other one raises the loss"
    if len(taken) == len(found.members):
        return f"greedy soup: takes all {len(taken)}, so it is the uniform soup"
    return f"greedy soup: {', '.join(taken)}"


def _norms(found: SoupComparison) -> str:
    if found.norms:
        return f"BatchNorm: {found.norms} layers differ, and are measured anew on training images in each soup"
    return "BatchNorm: the statistics are the same in all runs, and stay"


def _gains(table: Table, score: str) -> str:
    """Say which gain chance would give too, and which it would not."""
    higher = score != "absolute error"
    made = [row for row in table.rows if row.p_value is not None and row.difference is not None]
    sure = [row for row in made if row.p_value is not None and row.p_value <= LEVEL]
    better = [row.candidate.name for row in sure if (row.difference or 0) * (1 if higher else -1) > 0]
    worse = [row.candidate.name for row in sure if row.candidate.name not in better]
    chance = [row.candidate.name for row in made if row not in sure]
    best = table.rows[0].candidate.name
    parts = [
        f"better than {best} by more than chance: {', '.join(better)}" if better else "",
        f"worse than {best} by more than chance: {', '.join(worse)}" if worse else "",
        f"the difference to {best} may be chance at 0.05: {', '.join(chance)}" if chance else "",
    ]
    return "\n".join(filter(None, parts))


def _chosen_here(found: SoupComparison) -> str:
    way = "" if found.test else "; --against test measures on images that chose nothing"
    return f"the best run, the greedy soup and what is kept are chosen on these images, and look too good on them{way}"


def kept_words(found: SoupComparison) -> str:
    """Say what is kept and why."""
    kept, least = found.kept.candidate, found.kept.least
    passes = "one pass" if kept.passes == 1 else f"{kept.passes} passes"
    if found.forced:
        why = f"as --keep asks; loss {kept.loss:.4f}, the least is {least.loss:.4f}"
    elif kept.name == least.name:
        why = f"it has the least loss, {kept.loss:.4f}"
        why += "" if kept.kind == "single" else ", and nothing simpler is within one standard error of it"
    else:
        apart = f"{found.kept.difference:.4f} +- {found.kept.standard_error:.4f}"
        why = f"its loss is {apart} above the least ({least.name}): within one standard error, and it is simpler"
    return f"kept: {kept.name} ({passes}): {why}"


def _say(*texts: str) -> None:
    for text in filter(None, texts):
        print(filled(text))
