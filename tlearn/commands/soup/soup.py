"""The verb ``soup``, and `tlearn.soup`: average runs of one network, and keep the simplest of what is best."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tlearn.analysis.soups.candidates import KINDS, Judged
from tlearn.base.errors import TlearnError, unknown
from tlearn.base.files import check_folder_of, write_whole
from tlearn.base.notebook.html_table import html_table
from tlearn.cli.arguments import Arguments, VerbParser, one_of, with_own
from tlearn.cli.isolation import called_from_python
from tlearn.cli.targets.calls import option_words
from tlearn.commands.compare.compare import name_option
from tlearn.commands.fit import Run
from tlearn.commands.soup.answers import answering
from tlearn.commands.soup.comparison import SoupComparison, compare_soups
from tlearn.commands.soup.kept_run import fit_kept
from tlearn.commands.soup.members import Member, check_alike, members_of, start_remark
from tlearn.commands.soup.record import record_of
from tlearn.commands.soup.table import kept_words, print_soups

Keep = Literal["single", "soup", "greedy", "ensemble"]
RECORD = "soup.json"  # in the folder of the run that is kept
_OF_FIT = ("--ckpt_path", "--resume", "--sweep", "--folds", "--find_lr", "--seed_everything")


@dataclass(frozen=True)
class Soup:
    """Runs of one network, their soups and their ensemble, compared on the same images, and what was kept.

    Attributes:
        comparison: All figures.
        record: The same as plain values, as ``--out`` writes them.
        run: The run that was made of what is kept.
    """

    comparison: SoupComparison
    record: dict[str, Any]
    run: Run

    @property
    def kept(self) -> str:
        """Return the name of what is kept."""
        return self.comparison.kept.candidate.name

    def _repr_html_(self) -> str:
        """Show the comparison in a notebook."""
        table = self.comparison.test or self.comparison.val
        rows = [self._cells(row) for row in table.rows]
        unit = " in %" if self.comparison.factor != 1 else ""
        columns = ("name", f"{self.comparison.score}{unit}", "loss", "to the best single", "p, corrected", "passes")
        return html_table(rows, columns, f"Soup on {table.images} {table.split} images; {kept_words(self.comparison)}")

    def _cells(self, row: Judged) -> tuple[object, ...]:
        factor, each = self.comparison.factor, row.candidate
        difference = None if row.difference is None else factor * row.difference
        return each.name, factor * each.score, each.loss, difference, row.p_value, each.passes


def soup(
    runs: Sequence[str | Path],
    options: Mapping[str, Any] | None = None,
    *,
    keep: Keep | None = None,
    against: Literal["test"] | None = None,
    name: str | None = None,
    out: str | Path | None = None,
) -> Soup:
    """Average runs of one network: weights (soups) and probabilities (an ensemble), as ``tlearn soup`` does.

    The uniform soup is the mean of all weights, the greedy one that of the runs that do no harm on validation
    (Wortsman et al., 2022, arXiv 2203.05482). Of single runs, soups and the ensemble the simplest is kept whose
    validation loss is within one standard error of the least.

    Args:
        runs: Two run folders or checkpoints or more, of the same network, classes and validation images.
        options: Dotted option names to values, such as ``{"data.init_args.root": "elsewhere"}``.
        keep: ``single``, ``soup``, ``greedy`` or ``ensemble``, whatever validation says.
        against: ``test`` compares on the test images too, which choose nothing.
        name: The run that is kept lies in ``runs/soup/NAME``; by default the name is that of the first run.
        out: A JSON file to write everything to, loss and score of each image too.

    Raises:
        TlearnError: Fewer than two runs, runs that have no mean, or that validate on different images.
    """
    if keep is not None and keep not in KINDS:
        raise unknown("value of keep", keep, KINDS)
    with called_from_python():
        words = option_words(with_own(options, keep=keep, against=against, name=name, out=out))
        given = [str(each) for each in ([runs] if isinstance(runs, (str, Path)) else runs)]
        return _soup(Arguments("soup", [], [*given, *words], where="in options"), tells=False)


def run(arguments: Arguments) -> None:
    """Print what runs, soups and ensemble reach, and make a run of what is kept."""
    _soup(arguments, tells=True)


def _soup(arguments: Arguments, tells: bool) -> Soup:
    own, rest, words = _taken(arguments)
    members = members_of(words)
    check_alike(members)
    if remark := start_remark(members):
        print(remark)
    with answering(members, rest, tests=own.against == "test") as answers:
        found = compare_soups(answers, members, own.keep, tests=own.against == "test")
    if tells:
        print_soups(found)
    record = record_of(found, members)
    if own.out is not None:
        write_whole(own.out, json.dumps(record, indent=1))
        print(f"all of it: {own.out}")
    made = fit_kept(found, members, rest, own.name or _name_of(members[0]))
    if made.folder is not None:
        write_whole(made.folder / RECORD, json.dumps(record, indent=1))
    return Soup(found, record, made)


def _taken(arguments: Arguments) -> tuple[Namespace, Arguments, list[str]]:
    """Take the verb's own options and the runs out of a command line.

    Raises:
        TlearnError: A wrong value, a config, or an option that belongs to training.
    """
    parser = VerbParser()
    parser.option("--keep", f"one of {', '.join(KINDS)}", one_of("--keep", KINDS))
    parser.option("--against", "the word test", one_of("--against", ("test",)))
    name_option(parser)
    parser.option("--out", "the name of a file to write", Path)
    own, rest = parser.take(arguments)
    words, rest = rest.take_loose()
    if own.out is not None:
        check_folder_of(own.out)
    if rest.configs:
        raise TlearnError(f"soup takes runs, whose config is in their checkpoints; drop --config {rest.configs[0]}")
    if typed := next((name for name, _ in rest.pairs() if name in _OF_FIT or name.startswith("--model.")), None):
        raise TlearnError(f"soup trains nothing, and its network is that of the runs; drop {typed}")
    return own, rest, words


def _name_of(member: Member) -> str:
    folder = member.checkpoint.run_folder
    return member.checkpoint.path.stem if folder is None else folder.parent.name
