"""The verb ``compare``, and `tlearn.compare`: several configs, the same images, seeds and score."""

from __future__ import annotations

import logging
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tlearn.base.errors import TlearnError
from tlearn.base.files import check_folder_of
from tlearn.base.progress import Progress
from tlearn.cli.arguments import Arguments, VerbParser, folds_option, positive_int, with_own
from tlearn.cli.config_files import Config, find_config
from tlearn.cli.isolation import called_from_python
from tlearn.cli.targets.calls import arguments_of, config_of
from tlearn.commands.compare.comparison import Comparison, comparison_of, folded_comparison, show
from tlearn.commands.compare.folded_experiment import FoldedExperiment
from tlearn.commands.compare.identity import CheckedVariant, Variant
from tlearn.commands.compare.runs import Entrant, Experiment, RunResult
from tlearn.commands.compare.sharing import fit_together, leaving_the_rest_to_others

log = logging.getLogger(__name__)

# What one may want to differ, but should know of.
_BUDGET = {"trainer.max_epochs": ("trainer", "max_epochs"), "data.init_args.batch_size": ("data", "batch_size")}

STORAGE = "--storage"

Source = str | Path | Mapping[str, Any]


def compare(
    configs: Sequence[Source] | Mapping[str, Source],
    options: Mapping[str, Any] | None = None,
    *,
    seeds: int = 3,
    folds: int | None = None,
    name: str | None = None,
    out: str | Path | None = None,
) -> Comparison:
    """Fit several configs with the same seeds, and compare what their best epochs answer on the same images.

    A run that is finished is not done again. Processes that are given the same share the runs, each of which is done
    once, and all return the same.

    Args:
        configs: Two configs or more, each as for `tlearn.fit`; a mapping gives each of them a name.
        options: Dotted option names to values, for all of them; they beat the configs.
        seeds: The number of runs of each config, with the seeds 0, 1, ...
        folds: Fit each config so many times for each seed, validate on another fold of the training images each time,
            and compare the answers to all of them.
        name: The runs lie under ``runs/compare/NAME``; by default it is made of the configs' names.
        out: A JSON file to write everything to, the score of each image too.

    Raises:
        TlearnError: Configs that cannot be compared, or whatever `tlearn.fit` refuses.
    """
    with called_from_python():
        given = arguments_of("compare", None, with_own(options, seeds=seeds, folds=folds, name=name, out=out))
        own, arguments = take_common(_parser(), given)
        named = configs.items() if isinstance(configs, Mapping) else [(None, config) for config in configs]
        made = [(each, config_of(config)) for each, config in named]
        found = _compare(own, arguments, [(each or config.name, config) for each, config in made])
        if own.out is not None:
            found.write(own.out)
        return found


def run(arguments: Arguments) -> None:
    """Print who did best and what it cost, and write it where ``--out`` says."""
    own, arguments = take_common(_parser(), arguments)
    arguments = _with_bare_configs(arguments)
    with leaving_the_rest_to_others():
        show(_compare(own, arguments, [(config.name, config) for config in arguments.configs]), own.out)


def _parser() -> VerbParser:
    parser = common_parser(3)
    name_option(parser)
    folds_option(parser)
    return parser


def name_option(parser: VerbParser) -> None:
    """Let a verb take ``--name``, which names one folder and is no path."""
    name = "--name"

    def read(text: str) -> str:
        if Path(text).name != text:
            raise TlearnError(f"{name}: expected the name of one folder, got '{text}'")
        return text

    parser.option(name, "a name", read)


def _compare(own: Namespace, arguments: Arguments, configs: Sequence[tuple[str, Config]]) -> Comparison:
    _check_configs(configs)
    folder = f"compare/{own.name or '_vs_'.join(each for each, _ in configs)}"
    variants = [
        Variant(each, f"{folder}/{each}", replace(arguments, verb="fit", configs=[config])) for each, config in configs
    ]
    if own.folds:
        folded = FoldedExperiment(own.folds, own.seeds)
        _say_what_differs([folded.enter(variant).parts[0] for variant in variants])
        return folded_comparison(folded, fit_all(folded.entrants, not own.no_wait))
    experiment = Experiment(own.seeds)
    _say_what_differs([experiment.enter(variant) for variant in variants])
    return comparison_of(experiment, fit_all(experiment.entrants, not own.no_wait))


def common_parser(seeds: int) -> VerbParser:
    """Make the parser of what every comparison takes; ``seeds`` is the number of runs by default."""
    parser = VerbParser()
    parser.option("--seeds", "a number", positive_int("--seeds"), default=seeds)
    parser.option("--out", "the name of a file to write", Path)
    parser.flag("--no-wait")
    return parser


def take_common(parser: VerbParser, arguments: Arguments) -> tuple[Namespace, Arguments]:
    """Take the options of a comparison out of a command line.

    Raises:
        TlearnError: A value is missing or wrong, or an option is given that a comparison sets itself.
    """
    own, arguments = parser.take(arguments)
    if own.out is not None:
        check_folder_of(own.out)
    typed = [word.partition("=")[0] for word in arguments.options]
    if STORAGE in typed or (vars(own).get("storage") and own.trials is None):
        raise TlearnError(
            f"{STORAGE} is for the draws of fit --sweep ... --trials N; here workers share the runs by their folders "
            f"alone: drop {STORAGE}, and type the same command in each"
        )
    for option, why in (
        ("--ckpt_path", "it resumes one run"),
        ("--resume", "it resumes one run"),
        ("--seed_everything", "use --seeds N for 0 to N - 1"),
    ):
        if option in typed:
            raise TlearnError(f"every run of a comparison begins anew; drop {option}: {why}")
    return own, arguments


def fit_all(entrants: Sequence[Entrant], waits: bool = True, leaves_out: bool = True) -> dict[str, list[RunResult]]:
    """Fit all that have entered, together with other processes of the same command; see `fit_together`.

    Raises:
        TlearnError: None is left.
    """
    jobs = [job for entrant in entrants for job in entrant.jobs]
    with saying_what_is_kept(), Progress("run", sum(job.outcome() is None for job in jobs)) as progress:
        results = fit_together(entrants, progress, waits, leaves_out)
    if not results:
        raise TlearnError("the loss of every variant became no number, nothing is left to compare; lower the rates")
    return results


@contextmanager
def saying_what_is_kept() -> Iterator[None]:
    """Say after an interruption that the same command goes on: what the command line says is of a single fit."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):  # Lightning ends an interrupted run by the second
        print("finished runs are kept: the same command does the others", file=sys.stderr)
        raise


def _with_bare_configs(arguments: Arguments) -> Arguments:
    """Take words for configs that are neither options nor, behind an option that takes one, values."""
    configs, options = list(arguments.configs), list[str]()
    for option, value in arguments.pairs():
        if option:
            options.append(option if value is None else f"{option}={value}")
        else:
            configs.append(Config(find_config(value or "")))
    return replace(arguments, configs=configs, options=options)


def _check_configs(configs: Sequence[tuple[str, Config]]) -> None:
    for _, config in configs:
        config.refuse_verbs(("fit", "compare"))
    if len(configs) < 2:
        raise TlearnError(f"compare needs two configs or more, got {len(configs)}: compare A.yaml B.yaml")
    name, times = Counter(name for name, _ in configs).most_common(1)[0]
    if times > 1:
        raise TlearnError(f"two configs are named {name}, and their runs would be one; name each once")


def _say_what_differs(variants: Sequence[CheckedVariant]) -> None:
    for option, (part, name) in _BUDGET.items():
        plain = [checked.plain[part] for checked in variants]
        values = [(each.get("init_args") or each).get(name) for each in plain]
        if len(set(values)) > 1:
            each = ", ".join(f"{e.variant.name} {value}" for e, value in zip(variants, values, strict=True))
            log.warning("the configs differ in %s: %s", option, each)
