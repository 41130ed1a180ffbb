"""``fit --folds K``, and `tlearn.fit` with ``folds``: a run for each fold, and one score from all their answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tlearn.analysis.ranking import interval_of
from tlearn.base.errors import TlearnError
from tlearn.base.intervals import percent
from tlearn.base.next_command import command_line
from tlearn.base.notebook.html_table import html_table
from tlearn.cli.arguments import Arguments, VerbParser, folds_option
from tlearn.commands.compare.compare import fit_all
from tlearn.commands.compare.folded_experiment import FoldedExperiment
from tlearn.commands.compare.identity import Variant
from tlearn.commands.compare.measured_fit import SCORE
from tlearn.commands.compare.table import interval_words

_RESUMING = ("--ckpt_path", "--resume")


@dataclass(frozen=True)
class Fold:
    """The run that validated on one fold.

    Attributes:
        number: Counted from 1.
        images: Number of images that it validated on.
        groups: Number of their groups; ``None`` without groups.
        score: Mean score of these images in its best epoch.
        seconds: Seconds of the fit, without imports and reading the data.
        checkpoint: Its best epoch.
    """

    number: int
    images: int
    groups: int | None
    score: float
    seconds: float
    checkpoint: Path


@dataclass(frozen=True)
class FoldedRun:
    """What the runs of all folds answered to training images that they had not seen.

    Attributes:
        folder: Holds the runs and `out_of_fold`.
        folds: The run of each fold.
        score: Kind of the score: ``accuracy``, ``F1`` of the labels of an image, or ``absolute error``.
        mean: Mean score over all images.
        interval: Its 95 % interval: whole groups are resampled, where there are groups, else images. ``None`` where all
            score alike.
        groups: Number of groups; ``None`` without groups.
        out_of_fold: ``oof.csv``: a row for each training image, with the answer of the run that had not seen it.
    """

    folder: Path
    folds: list[Fold]
    score: str
    mean: float
    interval: tuple[float, float] | None
    groups: int | None
    out_of_fold: Path

    @property
    def images(self) -> int:
        """Count the training images."""
        return sum(fold.images for fold in self.folds)

    def _repr_html_(self) -> str:
        """Show the folds in a notebook."""
        rows = [(fold.number, fold.images, fold.groups, self._shown(fold.score)) for fold in self.folds]
        return html_table(rows, ("fold", "images", "groups", self.score), f"{len(rows)} folds: {self.summary()}")

    def summary(self) -> str:
        """Say the mean and its interval: ``accuracy 93.5 % [90.1, 96.0] over all 200 images``."""
        interval = ""
        if self.interval is not None:
            low, high = (self._shown(end).removesuffix(" %") for end in self.interval)
            interval = f" [{low}, {high}]"
        return f"{self.score} {self._shown(self.mean)}{interval} over all {self.images} images"

    def show(self) -> None:
        """Print the table of the folds, and what comes of all of them."""
        table = Table(box=SIMPLE_HEAD, padding=0)
        columns = ("fold", "images", *(("groups",) if self.groups is not None else ()), self.score, "seconds")
        for column in columns:
            table.add_column(column, justify="right", no_wrap=True)
        for fold in self.folds:
            of_groups = (str(fold.groups),) if self.groups is not None else ()
            row = (str(fold.number), str(fold.images), *of_groups, self._shown(fold.score), f"{fold.seconds:.1f}")
            table.add_row(*row)
        Console().print(table)
        print(self.summary())
        print(f"interval: {interval_words(self.groups)}" if self.interval else "no interval: all images score alike")
        print(f"answers to all images, each of the run that had not seen it: {self.out_of_fold}")

    def _shown(self, score: float) -> str:
        return f"{score:.3f}" if self.score == "absolute error" else percent(score)


def run(arguments: Arguments) -> None:
    """Fit each fold, print the table, and say what comes next: the fit of the network to use."""
    found, arguments = fit_folds(arguments)
    print()
    found.show()
    print(f"next: {command_line('fit', *arguments.again())}")


def fit_folds(arguments: Arguments) -> tuple[FoldedRun, Arguments]:
    """Fit each fold; runs that are finished are not done again.

    Returns:
        What came of it, and the command line without ``--folds``.

    Raises:
        TlearnError: A fault in the words, or whatever a fit refuses.
    """
    parser = VerbParser()
    folds_option(parser)
    own, arguments = parser.take(arguments)
    for option in _RESUMING:
        if arguments.value_of(option) is not None:
            raise TlearnError(
                f"every fold begins anew, {option} resumes one run; drop {option}: folds that are finished are kept"
            )
    experiment = FoldedExperiment(own.folds, None)
    experiment.enter(Variant("", arguments.run_name, arguments))
    (entrant,) = experiment.entrants
    runs = fit_all([entrant], leaves_out=False)[entrant.name]
    (folded,) = experiment.variants
    (seed,) = {run.seed for run in runs}
    answers = experiment.held_out(folded, seed)
    folds = []
    for number, (each, part) in enumerate(zip(runs, answers.values(), strict=True), start=1):
        groups = len(part.groups.unique()) if len(part.groups) else None
        score = float(np.mean(each.scores))
        folds.append(Fold(number, len(each.scores), groups, score, each.seconds, Path(each.checkpoint)))
    scores, of_groups = experiment.scores_of(runs), experiment.groups_of(folded)
    found = FoldedRun(
        folder=folded.folder,
        folds=folds,
        score=SCORE[folded.parts[0].data.task],
        mean=float(scores.mean()),
        interval=interval_of(scores, of_groups),
        groups=None if of_groups is None else len(np.unique(of_groups)),
        out_of_fold=experiment.write_tables(folded)[0],
    )
    return found, arguments
