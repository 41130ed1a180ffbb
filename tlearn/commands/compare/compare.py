"""The verb ``compare``, and `tlearn.compare`: several configs, the same images, seeds and score."""

from __future__ import annotations

import json
import logging
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tlearn.analysis.ranking import Standing, is_mcnemar, rank
from tlearn.base.errors import DivergedError, TlearnError
from tlearn.base.files import check_folder_of, write_whole
from tlearn.base.notebook.html_table import html_table
from tlearn.base.progress import Progress
from tlearn.base.terminal.wrapping import wrapped
from tlearn.cli.arguments import Arguments, VerbParser, positive_int, with_own
from tlearn.cli.config_files import Config, find_config
from tlearn.cli.isolation import called_from_python
from tlearn.cli.targets.calls import arguments_of, config_of
from tlearn.commands.compare.measured_fit import SCORE
from tlearn.commands.compare.runs import CheckedVariant, Experiment, RunResult, Variant, finished, scores_of
from tlearn.commands.compare.table import About, Cost, print_comparison

log = logging.getLogger(__name__)

# What one may want to differ, but should know of.
_BUDGET = {"trainer.max_epochs": ("trainer", "max_epochs"), "data.init_args.batch_size": ("data", "batch_size")}


@dataclass(frozen=True)
class Comparison:
    """How several configs did on the same validation images.

    Attributes:
        standings: A standing for each config, the best first.
        costs: Config name to what its runs took.
        runs: Config name to its runs, one for each seed.
        about: The score, the number of images and seeds, and the kind of test.
        val: Fingerprint of the validation images, their targets and their order.
    """

    standings: list[Standing]
    costs: dict[str, Cost]
    runs: dict[str, list[RunResult]]
    about: About
    val: str

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


Source = str | Path | Mapping[str, Any]


def compare(
    configs: Sequence[Source] | Mapping[str, Source],
    options: Mapping[str, Any] | None = None,
    *,
    seeds: int = 3,
    name: str | None = None,
    out: str | Path | None = None,
) -> Comparison:
    """Fit several configs with the same seeds, and compare what their best epochs answer on the same images.

    A run that is finished is not done again.

    Args:
        configs: Two configs or more, each as for `tlearn.fit`; a mapping gives each of them a name.
        options: Dotted option names to values, for all of them; they beat the configs.
        seeds: The number of runs of each config, with the seeds 0, 1, ...
        name: The runs lie under ``runs/compare/NAME``; by default it is made of the configs' names.
        out: A JSON file to write everything to, the score of each image too.

    Raises:
        TlearnError: Configs that cannot be compared, or whatever `tlearn.fit` refuses.
    """
    with called_from_python():
        given = arguments_of("compare", None, with_own(options, seeds=seeds, name=name, out=out))
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
    show(_compare(own, arguments, [(config.name, config) for config in arguments.configs]), own.out)


def _parser() -> VerbParser:
    parser = common_parser(3)
    parser.option("--name", "a name")
    return parser


def _compare(own: Namespace, arguments: Arguments, configs: Sequence[tuple[str, Config]]) -> Comparison:
    if own.name and Path(own.name).name != own.name:
        raise TlearnError(f"--name: expected the name of one folder, got '{own.name}'")
    _check_configs(configs)
    folder = f"compare/{own.name or '_vs_'.join(each for each, _ in configs)}"
    experiment = Experiment(own.seeds)
    for each, config in configs:
        experiment.enter(Variant(each, f"{folder}/{each}", replace(arguments, verb="fit", configs=[config])))
    _say_what_differs(experiment.variants)
    return comparison_of(experiment, fit_all(experiment))


def common_parser(seeds: int) -> VerbParser:
    """Make the parser of what every comparison takes; ``seeds`` is the number of runs by default."""
    parser = VerbParser()
    parser.option("--seeds", "a number", positive_int("--seeds"), default=seeds)
    parser.option("--out", "the name of a file to write", Path)
    return parser


def take_common(parser: VerbParser, arguments: Arguments) -> tuple[Namespace, Arguments]:
    """Take the options of a comparison out of a command line.

    Raises:
        TlearnError: A value is missing or wrong, or an option is given that a comparison sets itself.
    """
    own, arguments = parser.take(arguments)
    if own.out is not None:
        check_folder_of(own.out)
    for option, why in (
        ("--ckpt_path", "it resumes one run"),
        ("--resume", "it resumes one run"),
        ("--seed_everything", "use --seeds N for 0 to N - 1"),
    ):
        if any(word.partition("=")[0] == option for word in arguments.options):
            raise TlearnError(f"every run of a comparison begins anew; drop {option}: {why}")
    return own, arguments


def fit_all(experiment: Experiment) -> dict[str, list[RunResult]]:
    """Fit all that have entered, and return name to results; a variant whose loss is no number is left out, and said.

    Raises:
        TlearnError: None is left.
    """
    results = dict[str, list[RunResult]]()
    open_runs = [s for each in experiment.variants for s in range(experiment.seeds) if finished(each, s) is None]
    with saying_what_is_kept(), Progress("run", len(open_runs)) as progress:
        for checked in experiment.variants:
            with leaving_out_what_diverges(checked.variant.name):
                results[checked.variant.name] = experiment.fit(checked, progress)
    if not results:
        raise TlearnError("the loss of every variant became no number, nothing is left to compare; lower the rates")
    return results


@contextmanager
def leaving_out_what_diverges(name: str) -> Iterator[None]:
    """Say of a variant that its loss is no number, and go on without it."""
    try:
        yield
    except DivergedError as error:
        print(wrapped(f"{name} is left out: {error}", sys.stderr), file=sys.stderr)


@contextmanager
def saying_what_is_kept() -> Iterator[None]:
    """Say after an interruption that the same command goes on: what the command line says is of a single fit."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):  # Lightning ends an interrupted run by the second
        print("finished runs are kept: the same command does the others", file=sys.stderr)
        raise


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


def show(found: Comparison, out: Path | None) -> None:
    """Print a comparison, and write it to a file."""
    print()
    print_comparison(found.standings, found.costs, found.about)
    _say_what_is_mixed(found.runs)
    if out is not None:
        found.write(out)
        print(f"all of it: {out}")


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
