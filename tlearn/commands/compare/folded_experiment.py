"""Fit variants once for each fold of the training images, and join what the runs answer to images they have not seen.

Letters: F folds, S seeds, N training images.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tlearn.analysis.ranking import Groups, Scores
from tlearn.base.errors import TlearnError
from tlearn.base.places import DEFAULT_ROOT
from tlearn.cli.arguments import Arguments
from tlearn.commands.compare.held_out import HeldOut, write_joined
from tlearn.commands.compare.identity import CheckedVariant, Variant
from tlearn.commands.compare.runs import Entrant, Experiment, RunResult, held_out_of, scores_of
from tlearn.data.option_checks import VAL_FRACTION
from tlearn.training.out_of_fold_table import FILE

_SET_HERE = ("folds", "fold", "val_fraction")


@dataclass(frozen=True)
class FoldedVariant:
    """A variant with all its folds.

    Attributes:
        variant: The variant as it was given; its folder is that of all folds, under the root of runs.
        parts: The variant of each fold, F.
    """

    variant: Variant
    parts: list[CheckedVariant]

    @property
    def folder(self) -> Path:
        """Return the folder of all its runs."""
        return Path(self.parts[0].plain["trainer"]["default_root_dir"] or DEFAULT_ROOT, self.variant.folder)


class FoldedExperiment:
    """The variants that meet on the same folds.

    Args:
        folds: F.
        seeds: S, for each fold; ``None`` for one run with the seed of the variant's own.
    """

    def __init__(self, folds: int, seeds: int | None) -> None:
        self.folds, self.seeds = folds, seeds or 1
        self.variants: list[FoldedVariant] = []
        self._of_folds = [Experiment(seeds) for _ in range(folds)]

    def enter(self, variant: Variant) -> FoldedVariant:
        """Check a variant with every fold before anything is trained.

        Raises:
            TlearnError: An option is typed that says itself what validates, there are fewer groups or images than
                folds, or whatever `Experiment.enter` refuses.
        """
        _refuse_other_splits(variant.arguments, self.folds)
        within = replace(variant, folder=f"{variant.folder}/folds-{self.folds}")
        parts = [self._of_folds[0].enter(self._of_fold(within, 1))]
        with _unsaid():  # what is said of the data is the same for all folds, and each run says it again
            for number, experiment in enumerate(self._of_folds[1:], start=2):
                parts.append(experiment.enter(self._of_fold(within, number)))
        self.variants.append(FoldedVariant(within, parts))
        return self.variants[-1]

    @property
    def entrants(self) -> list[Entrant]:
        """Return what is to be fitted."""
        return [
            Entrant(each.variant.name, list(zip(self._of_folds, each.parts, strict=True))) for each in self.variants
        ]

    def scores_of(self, runs: list[RunResult]) -> Scores:
        """Return the out-of-fold scores of a variant (S, N), of its runs fold by fold."""
        return np.concatenate([scores_of(self.runs_of(number, runs)) for number in range(self.folds)], axis=1)

    def runs_of(self, fold: int, runs: list[RunResult]) -> list[RunResult]:
        """Return the runs of one fold, counted from 0."""
        return runs[fold * self.seeds : (fold + 1) * self.seeds]

    def groups_of(self, folded: FoldedVariant) -> Groups | None:
        """Return the group of each image (N,), in the order of `scores_of`; ``None`` without groups."""
        seed = self._of_folds[0].seeds_of(folded.parts[0])[0]
        groups: Groups = np.concatenate([part.groups.numpy() for part in self.held_out(folded, seed).values()])
        return groups if len(groups) else None

    def held_out(self, folded: FoldedVariant, seed: int) -> dict[int, HeldOut]:
        """Return the answers of a variant's finished runs of a seed, by the fold, counted from 1."""
        found = dict[int, HeldOut]()
        for number, part in enumerate(folded.parts, start=1):
            answers = held_out_of(part, seed)
            if answers is None:
                raise TlearnError(f"{part.variant.name}: its answers were removed meanwhile; type the command again")
            found[number] = answers
        return found

    def write_tables(self, folded: FoldedVariant) -> list[Path]:
        """Write the out-of-fold answers of each seed, ``oof.csv`` where there is one, and return the files.

        Raises:
            TlearnError: A file cannot be written.
        """
        seeds, data = self._of_folds[0].seeds_of(folded.parts[0]), folded.parts[0].data
        written = list[Path]()
        for seed in seeds:
            name = FILE if len(seeds) == 1 else f"{Path(FILE).stem}-seed{seed}.csv"
            write_joined(folded.folder / name, data.task, data.class_names, self.held_out(folded, seed))
            written.append(folded.folder / name)
        return written

    def _of_fold(self, variant: Variant, number: int) -> Variant:
        options = {"val_fraction": VAL_FRACTION, "folds": self.folds, "fold": number}
        words = [f"--data.init_args.{name}={value}" for name, value in options.items()]
        arguments = replace(variant.arguments, options=[*variant.arguments.options, *words])
        name = ", ".join(filter(None, [variant.name, f"fold {number} of {self.folds}"]))
        return Variant(name, f"{variant.folder}/fold-{number}", arguments)


@contextmanager
def _unsaid() -> Iterator[None]:
    """Log nothing below an error."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _refuse_other_splits(arguments: Arguments, folds: int) -> None:
    if arguments.data is not None:
        raise TlearnError("--folds makes the data anew for each fold, data= is made already; name them by options")
    for option, _ in arguments.pairs():
        if option.removeprefix("--data.").removeprefix("init_args.") in _SET_HERE and option.startswith("--data."):
            raise TlearnError(f"--folds {folds} validates on each of {folds} folds in turn; drop {option}")
