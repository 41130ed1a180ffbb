"""``fit --sweep OPTION=VALUES``: all combinations of values, or draws from ranges, compared as configs are."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from tlearn.base.errors import TlearnError
from tlearn.base.next_command import command_line
from tlearn.cli.arguments import Arguments, positive_int
from tlearn.commands.compare.compare import STORAGE, common_parser, fit_all, take_common
from tlearn.commands.compare.comparison import comparison_of, show
from tlearn.commands.compare.runs import Experiment, RunResult, scores_of
from tlearn.commands.compare.search import search
from tlearn.commands.compare.sharing import leaving_the_rest_to_others
from tlearn.commands.compare.swept import SWEEP, Swept, name_of, take_sweeps, variant_of

_TRIALS = "--trials"


def run(arguments: Arguments) -> None:
    """Fit a config with every combination of the values given, print who did best, and how to have it again.

    With ``--trials N`` Optuna's TPE (Bergstra et al., 2011) chooses N combinations one after the other.

    Raises:
        TlearnError: A fault in the words, variants that cannot be compared, or whatever ``fit`` refuses.
    """
    parser = common_parser(1)
    parser.option(_TRIALS, "a number", positive_int(_TRIALS))
    parser.option(STORAGE, "a file or the URL of a database")
    own, arguments = take_common(parser, arguments)
    swept, arguments = take_sweeps(arguments)
    if not arguments.configs:
        raise TlearnError(f"{SWEEP} varies a fit; name pictures or a config: fit my_pictures {SWEEP} OPTION=VALUES")
    experiment = Experiment(own.seeds)
    with leaving_the_rest_to_others():
        if own.trials is None:
            for choice in _grid(swept):
                experiment.enter(variant_of(arguments, choice))
            results = fit_all(experiment.entrants, not own.no_wait)
        else:
            results = search(experiment, arguments, swept, own)
        found = comparison_of(experiment, results)
        show(found, own.out)
        _say_how(experiment, found.standings[0].name, results)


def _grid(swept: Sequence[Swept]) -> list[dict[str, Any]]:
    for each in swept:
        if each.ends:
            raise TlearnError(f"{SWEEP} {each.option}: a range needs {_TRIALS} N, or give values with commas")
    names = [each.option for each in swept]
    choices = [dict(zip(names, values, strict=True)) for values in itertools.product(*(s.values for s in swept))]
    shown = [name_of(choice) for choice in choices]
    twice = next((name for name in shown if shown.count(name) > 1), None)
    if twice:
        raise TlearnError(f"{SWEEP}: {twice} is given twice; name each value once")
    if len(choices) == 1:
        raise TlearnError(f"{SWEEP} has one variant, {shown[0]}; give two values or more, with commas")
    return choices


def _sign(experiment: Experiment) -> int:
    """Return what makes scores something to minimise."""
    return 1 if experiment.variants[0].data.task == "regression" else -1


def _say_how(experiment: Experiment, name: str, results: Mapping[str, list[RunResult]]) -> None:
    variant = next(checked.variant for checked in experiment.variants if checked.variant.name == name)
    best = min(results[name], key=lambda result: _sign(experiment) * float(scores_of([result]).mean()))
    words = ["fit", *variant.arguments.again(), f"--seed_everything={best.seed}"]
    print(f"best: {name}")
    print(f"again: {command_line(*words)}")
    print(f"checkpoint: {best.checkpoint}")
