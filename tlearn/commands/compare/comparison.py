"""What a comparison found: who did best, how sure that is, and what it cost. Letters: S seeds, N images."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tlearn.analysis.ranking import Standing, is_mcnemar, rank
from tlearn.analysis.soups.offer import soup_line
from tlearn.base.feature_store import key_of
from tlearn.base.files import write_whole
from tlearn.base.notebook.html_table import html_table
from tlearn.commands.compare.folded_experiment import FoldedExperiment
from tlearn.commands.compare.measured_fit import SCORE
from tlearn.commands.compare.runs import Experiment, RunResult, scores_of
from tlearn.commands.compare.table import About, Cost, print_comparison

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Comparison:
    """How several configs did on the same validation images.

    Attributes:
        standings: A standing for each config, the best first.
        costs: Config name to what its runs took.
        runs: Config name to its runs, one for each seed.
        about: The score, the number of images and seeds, and the kind of test.
        val: Fingerprint of the validation images, their targets and their order.
        out_of_fold: Config name to tables with the answers to the images of all folds, one for each seed; none where
            there are no folds.
    """

    standings: list[Standing]
    costs: dict[str, Cost]
    runs: dict[str, list[RunResult]]
    about: About
    val: str
    out_of_fold: dict[str, list[Path]] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        """Show the comparison in a notebook."""
        factor = self.about.factor
        rows = [
            (each.name, factor * each.mean, factor * each.difference, each.corrected, self.costs[each.name].seconds)
            for each in self.standings
        ]
        unit = " in %" if factor != 1 else ""
        caption = f"Comparison: {self.about.score}{unit}, {self.about.images} images, {self.about.seeds} seeds"
        return html_table(rows, ("config", "mean", "to the best", "p, corrected", "seconds"), caption)

    def write(self, path: str | Path) -> None:
        """Write everything, the score of each image too, as JSON.

        Raises:
            TlearnError: The file cannot be written.
        """
        rows = [
            asdict(each) | asdict(self.costs[each.name]) | {"runs": [asdict(run) for run in self.runs[each.name]]}
            for each in self.standings
        ]
        content: dict[str, Any] = {**asdict(self.about), "val": self.val, "standings": rows}
        write_whole(Path(path), json.dumps(content, indent=1))


def comparison_of(experiment: Experiment, runs: dict[str, list[RunResult]]) -> Comparison:
    """Rank the variants of an experiment by their runs.

    Args:
        experiment: All variants that took part.
        runs: Variant name to its runs, one for each seed.
    """
    data = experiment.variants[0].data
    scores = {name: scores_of(of) for name, of in runs.items()}
    standings = rank(scores, higher_is_better=data.task != "regression")
    about = About(SCORE[data.task], data.images, experiment.seeds, all(map(is_mcnemar, scores.values())))
    return Comparison(standings, {name: _cost(of) for name, of in runs.items()}, runs, about, data.val)


def folded_comparison(experiment: FoldedExperiment, runs: dict[str, list[RunResult]]) -> Comparison:
    """Rank the variants of an experiment by their answers to the images of all folds, and write these answers.

    Args:
        experiment: All variants that took part.
        runs: Variant name to its runs, fold by fold, one for each seed.

    Raises:
        TlearnError: The answers cannot be written.
    """
    left = {each.variant.name: each for each in experiment.variants if each.variant.name in runs}
    first = next(iter(left.values()))
    data, groups = first.parts[0].data, experiment.groups_of(first)
    scores = {name: experiment.scores_of(of) for name, of in runs.items()}
    standings = rank(scores, data.task != "regression", groups)
    about = About(
        *(SCORE[data.task], scores[first.variant.name].shape[1], experiment.seeds),
        exact=groups is None and all(map(is_mcnemar, scores.values())),
        folds=experiment.folds,
        groups=None if groups is None else len(np.unique(groups)),
    )
    costs = {name: _cost(of) for name, of in runs.items()}
    val = key_of({"folds": [part.data.val for part in first.parts]})
    tables = {name: experiment.write_tables(each) for name, each in left.items()}
    return Comparison(standings, costs, runs, about, val, tables)


def show(found: Comparison, out: Path | None) -> None:
    """Print a comparison, and write it to a file."""
    print()
    print_comparison(found.standings, found.costs, found.about)
    _say_what_is_mixed(found.runs)
    for name, tables in found.out_of_fold.items():
        print(f"answers of {name} to all images: {', '.join(map(str, tables))}")
    if out is not None:
        found.write(out)
        print(f"all of it: {out}")
    runs = [run for of in found.runs.values() for run in of]
    values = {run.checkpoint: run.value for run in runs}
    if not found.out_of_fold and (line := soup_line(values, not runs[0].metric.endswith("loss"))):
        print(line)


def _say_what_is_mixed(results: Mapping[str, list[RunResult]]) -> None:
    runs = [run for of in results.values() for run in of]
    if len({(run.device, *run.versions.items()) for run in runs}) > 1:
        log.warning("the runs are of several devices or versions (see result.json): costs cannot be compared")
    if any(run.keeps_features for run in runs):
        log.info("seconds: a frozen network runs once, its features are kept; only the first run that needs them pays")
    if any(run.peak_memory_since == "start" for run in runs):
        log.warning("peak memory is that of the process since its start: this system does not reset it")


def _cost(results: Sequence[RunResult]) -> Cost:
    return Cost(
        seconds=sum(result.seconds for result in results) / len(results),
        peak_memory_bytes=max(result.peak_memory_bytes for result in results),
        trainable_parameters=max(result.trainable_parameters for result in results),
    )
