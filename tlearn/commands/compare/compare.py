"""The verb ``compare``: several configs, the same images, seeds and measure."""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tlearn.analysis.ranking import Standing, is_mcnemar, rank
from tlearn.base.errors import DivergedError, TlearnError
from tlearn.base.files import check_folder_of, write_whole
from tlearn.cli.arguments import Arguments
from tlearn.cli.config_files import Config, find_config
from tlearn.commands.compare.measured_fit import SCORE
from tlearn.commands.compare.runs import Entry, Field, Result, Variant, scores_of
from tlearn.commands.compare.table import About, Cost, print_comparison

log = logging.getLogger(__name__)

_OUT, _SEEDS, _NAME = "--out", "--seeds", "--name"
# What one may want to differ, but should know of.
_BUDGET = {"trainer.max_epochs": ("trainer", "max_epochs"), "data.init_args.batch_size": ("data", "batch_size")}
_USAGE = """usage: python -m tlearn compare A.yaml B.yaml [--seeds N] [--name NAME] [--out FILE] [--any.option value]

fits every config with the seeds 0, 1, ..., the options typed behind going to all of them, and compares what their
best epochs answer on the validation images, which must be the same; a run that is finished is not done again

  --seeds N    runs of each config, 3 by default
  --name NAME  the runs lie under runs/compare/NAME; the configs' names by default
  --out FILE   write everything, each image's score too, as JSON"""


def compare(arguments: Arguments) -> list[Standing]:
    """Fit every config with every seed, print who did best and what it cost, and write it where ``--out`` says.

    Raises:
        TlearnError: A fault in the words, configs that cannot be compared, or whatever ``fit`` refuses.
    """
    if any(word in ("-h", "--help") for word in arguments.options):
        print(_USAGE)
        return []
    out, seeds, arguments = take_common(arguments, seeds=3)
    name, arguments = arguments.take(_NAME, "a name")
    if name and Path(name).name != name:
        raise TlearnError(f"{_NAME}: expected the name of one folder, got '{name}'")
    arguments = _with_bare_configs(arguments)
    _check_configs(arguments.configs)
    stems = [config.name for config in arguments.configs]
    folder = f"compare/{name or '_vs_'.join(stems)}"
    field = Field(seeds)
    for stem, config in zip(stems, arguments.configs, strict=True):
        field.enter(Variant(stem, f"{folder}/{stem}", replace(arguments, verb="fit", configs=[config])))
    _say_what_differs(field.entries)
    return report(field, fit_all(field), out)


def take_common(arguments: Arguments, seeds: int) -> tuple[Path | None, int, Arguments]:
    """Take what comparisons of all kinds know: the file to write, and the number of seeds.

    Args:
        arguments: The command line.
        seeds: Their number by default.

    Raises:
        TlearnError: A value that is missing or wrong, or an option that a comparison sets itself.
    """
    out, arguments = arguments.take(_OUT, "the name of a file to write")
    if out is not None:
        check_folder_of(Path(out))
    given, arguments = arguments.take(_SEEDS, "a number")
    for option, why in (
        ("--ckpt_path", "it resumes one run"),
        ("--resume", "it resumes one run"),
        ("--seed_everything", "use --seeds N for 0 to N - 1"),
    ):
        if any(word.partition("=")[0] == option for word in arguments.options):
            raise TlearnError(f"every run of a comparison begins anew; drop {option}: {why}")
    return (None if out is None else Path(out)), positive(_SEEDS, given, seeds), arguments


def positive(option: str, given: str | None, default: int) -> int:
    """Return a typed number.

    Raises:
        TlearnError: It is no whole number from 1 on.
    """
    if given is None:
        return default
    if not given.isdecimal() or int(given) < 1:
        raise TlearnError(f"{option}: expected a whole number from 1 on, got '{given}'")
    return int(given)


def fit_all(field: Field) -> dict[str, list[Result]]:
    """Fit all that have entered, and return name to results; a variant whose loss is no number is left out, and said.

    Raises:
        TlearnError: None is left.
    """
    results = dict[str, list[Result]]()
    with saying_what_is_kept():
        for entry in field.entries:
            with leaving_out_what_diverges(entry.variant.name):
                results[entry.variant.name] = field.fit(entry)
    if not results:
        raise TlearnError("the loss of every variant became no number, nothing is left to compare; lower the rates")
    return results


@contextmanager
def leaving_out_what_diverges(name: str) -> Iterator[None]:
    """Say of a variant that its loss is no number, and go on without it."""
    try:
        yield
    except DivergedError as error:
        print(f"{name} is left out: {error}", file=sys.stderr)


@contextmanager
def saying_what_is_kept() -> Iterator[None]:
    """Say after an interruption that the same command goes on: what the command line says is of a single fit."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):  # Lightning ends an interrupted run by the second
        print("finished runs are kept: the same command does the others", file=sys.stderr)
        raise


def report(field: Field, results: Mapping[str, list[Result]], out: Path | None) -> list[Standing]:
    """Rank, print, and write.

    Args:
        field: All that took part.
        results: Name to results, a run for each seed.
        out: Where everything is written as JSON; nowhere by default.

    Returns:
        The standings, the best first.
    """
    data = field.entries[0].data
    scores = {name: scores_of(of) for name, of in results.items()}
    standings = rank(scores, higher_is_better=data.task != "regression")
    exact = all(map(is_mcnemar, scores.values()))
    about = About(SCORE[data.task], data.images, field.seeds, exact)
    costs = {name: _cost(of) for name, of in results.items()}
    print()
    print_comparison(standings, costs, about)
    _say_what_is_mixed(results)
    if out is not None:
        rows = [asdict(s) | asdict(costs[s.name]) | {"runs": [asdict(r) for r in results[s.name]]} for s in standings]
        content: dict[str, Any] = {**asdict(about), "val": data.val, "standings": rows}
        write_whole(out, json.dumps(content, indent=1))
        print(f"all of it: {out}")
    return standings


def _with_bare_configs(arguments: Arguments) -> Arguments:
    """Take words for configs that are neither options nor, behind an option that takes one, values."""
    configs, options = list(arguments.configs), list[str]()
    for option, value in arguments.pairs():
        if option:
            options.append(option if value is None else f"{option}={value}")
        else:
            configs.append(Config(find_config(value or "")))
    return replace(arguments, configs=configs, options=options)


def _check_configs(configs: Sequence[Config]) -> None:
    for config in configs:
        config.refuse_verbs(("fit", "compare"))
    if len(configs) < 2:
        raise TlearnError(f"compare needs two configs or more, got {len(configs)}: compare A.yaml B.yaml")
    stem, times = Counter(config.name for config in configs).most_common(1)[0]
    if times > 1:
        raise TlearnError(f"two configs are named {stem}, and their runs would be one; name each once")


def _say_what_differs(entries: Sequence[Entry]) -> None:
    for option, (part, name) in _BUDGET.items():
        plain = [entry.plain[part] for entry in entries]
        values = [(each.get("init_args") or each).get(name) for each in plain]
        if len(set(values)) > 1:
            each = ", ".join(f"{e.variant.name} {value}" for e, value in zip(entries, values, strict=True))
            log.warning("the configs differ in %s: %s", option, each)


def _say_what_is_mixed(results: Mapping[str, list[Result]]) -> None:
    runs = [run for of in results.values() for run in of]
    if len({(run.device, *run.versions.items()) for run in runs}) > 1:
        log.warning("the runs are of several devices or versions (see result.json): costs cannot be compared")
    if any(run.keeps_features for run in runs):
        log.info("seconds: a frozen network runs once, its features are kept; only the first run that needs them pays")
    if any(run.peak_memory_since == "start" for run in runs):
        log.warning("peak memory is that of the process since its start: this system does not reset it")


def _cost(results: Sequence[Result]) -> Cost:
    return Cost(
        seconds=sum(result.seconds for result in results) / len(results),
        peak_memory_bytes=max(result.peak_memory_bytes for result in results),
        trainable_parameters=max(result.trainable_parameters for result in results),
    )
