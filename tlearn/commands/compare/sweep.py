"""``fit --sweep OPTION=VALUES``: all combinations of values, or draws from ranges, compared as configs are."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import yaml

from tlearn.base.errors import TlearnError, one_line
from tlearn.base.next_command import command_line
from tlearn.base.progress import Progress, tracked
from tlearn.cli.arguments import Arguments, positive_int
from tlearn.cli.config_files import check_typed
from tlearn.commands.compare.compare import (
    common_parser,
    fit_all,
    leaving_out_what_diverges,
    saying_what_is_kept,
    take_common,
)
from tlearn.commands.compare.comparison import comparison_of, show
from tlearn.commands.compare.identity import Variant
from tlearn.commands.compare.runs import Experiment, RunResult, scores_of

if TYPE_CHECKING:
    from optuna.trial import Trial

_SWEEP, _TRIALS = "--sweep", "--trials"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")
_DIGITS = 4  # of a number that is drawn, so that its name is all of it
_LOG_FROM = 10  # ends further apart than this factor: numbers of every size are as likely
_LONGEST = 150  # a name in the file system; most allow 255 bytes
_SEED = 0


@dataclass(frozen=True)
class Swept:
    """An option that is swept.

    Attributes:
        option: As typed: ``model.optimizer.lr``.
        values: To try; none where there is a range.
        ends: The lowest and the highest number to draw from.
    """

    option: str
    values: tuple[Any, ...] = ()
    ends: tuple[float, float] | None = None


def run(arguments: Arguments) -> None:
    """Fit a config with every combination of the values given, print who did best, and how to have it again.

    With ``--trials N`` Optuna's TPE (Bergstra et al., 2011) chooses N combinations one after the other.

    Raises:
        TlearnError: A fault in the words, variants that cannot be compared, or whatever ``fit`` refuses.
    """
    parser = common_parser(1)
    parser.option(_TRIALS, "a number", positive_int(_TRIALS))
    own, arguments = take_common(parser, arguments)
    swept, arguments = _take_sweeps(arguments)
    if not arguments.configs:
        raise TlearnError(f"{_SWEEP} varies a fit; name pictures or a config: fit my_pictures {_SWEEP} OPTION=VALUES")
    experiment = Experiment(own.seeds)
    if own.trials is None:
        for choice in _grid(swept):
            experiment.enter(_variant(arguments, choice))
        results = fit_all(experiment.entrants)
    else:
        results = _search(experiment, arguments, swept, own.trials)
    found = comparison_of(experiment, results)
    show(found, own.out)
    _say_how(experiment, found.standings[0].name, results)


def _take_sweeps(arguments: Arguments) -> tuple[list[Swept], Arguments]:
    found, words, kept = list[Swept](), list(arguments.options), list[str]()
    while words:
        option, given, text = words.pop(0).partition("=")
        if option != _SWEEP:
            kept.append(option + given + text)
            continue
        found.append(_read(text if given else words.pop(0) if words else ""))
    twice = {swept.option for swept in found if [each.option for each in found].count(swept.option) > 1}
    if twice:
        raise TlearnError(f"{_SWEEP} {twice.pop()} is given twice; put all values behind one, with commas")
    return found, replace(arguments, options=kept)


def _read(text: str) -> Swept:
    option, given, values = text.partition("=")
    option = option.removeprefix("--")
    if not option or not given or not values:
        raise TlearnError(f"{_SWEEP}: expected OPTION=VALUE,VALUE,... or OPTION=LOWEST..HIGHEST, got '{text}'")
    if ends := _RANGE.fullmatch(values):
        lowest, highest = (_as_number(end) for end in ends.groups())
        if lowest >= highest:
            raise TlearnError(f"{_SWEEP} {option}: expected LOWEST..HIGHEST, got '{values}'")
        return Swept(option, ends=(lowest, highest))
    try:
        # A list in YAML's short form: commas inside brackets and quotes are not between values.
        check_typed(f"{_SWEEP} {option}", f"[{values}]")
        read = yaml.safe_load(f"[{values}]")
    except yaml.YAMLError as error:
        raise TlearnError(f"{_SWEEP} {option}: '{values}' is no list of YAML values: {one_line(error)}") from error
    return Swept(option, tuple(map(_as_number, read)))


def _as_number(value: Any) -> Any:
    """Turn text into the number that it is, also ``1e-4``, which YAML 1.1 takes for text."""
    if not isinstance(value, str) or not re.fullmatch(_NUMBER, value):
        return value
    return int(value) if re.fullmatch(r"[-+]?\d+", value) else float(value)


def _grid(swept: Sequence[Swept]) -> list[dict[str, Any]]:
    for each in swept:
        if each.ends:
            raise TlearnError(f"{_SWEEP} {each.option}: a range needs {_TRIALS} N, or give values with commas")
    names = [each.option for each in swept]
    choices = [dict(zip(names, values, strict=True)) for values in itertools.product(*(s.values for s in swept))]
    shown = [_name_of(choice) for choice in choices]
    twice = next((name for name in shown if shown.count(name) > 1), None)
    if twice:
        raise TlearnError(f"{_SWEEP}: {twice} is given twice; name each value once")
    if len(choices) == 1:
        raise TlearnError(f"{_SWEEP} has one variant, {shown[0]}; give two values or more, with commas")
    return choices


def _variant(arguments: Arguments, choice: Mapping[str, Any]) -> Variant:
    name = _name_of(choice)
    words = [f"--{option}={_as_typed(value)}" for option, value in choice.items()]
    varied = replace(arguments, options=[*arguments.options, *words])
    return Variant(name, f"sweep/{arguments.run_name}/{_as_folder(name.replace(', ', ','))}", varied)


def _name_of(choice: Mapping[str, Any]) -> str:
    """Name a variant by the last words of its options, where no two share theirs."""
    last = [option.rpartition(".")[2] for option in choice]
    named = zip(choice.items(), last, strict=True)
    return ", ".join(
        f"{short if last.count(short) == 1 else option}={_shown(value)}" for (option, value), short in named
    )


def _shown(value: Any) -> str:
    return f"[{', '.join(map(_shown, value))}]" if isinstance(value, list) else _as_typed(value)


def _as_typed(value: Any) -> str:
    """Write a value so that the parser reads it back: JSON is YAML, but for texts by themselves."""
    return value if isinstance(value, str) else json.dumps(value)


def _as_folder(name: str) -> str:
    """Make a name that any file system takes; what was changed is told apart by a hash."""
    safe = re.sub(r"[^\w.=,+-]+", "_", name)[:_LONGEST]
    return safe if safe == name else f"{safe}~{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _search(
    experiment: Experiment, arguments: Arguments, swept: Sequence[Swept], trials: int
) -> dict[str, list[RunResult]]:
    try:
        import optuna
    except ImportError as error:
        raise TlearnError(f"{_TRIALS} needs Optuna: pip install 'tlearn[sweep]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=_SEED))
    results = dict[str, list[RunResult]]()
    for number in tracked(range(trials), "trial", trials):
        trial = study.ask()
        variant = _variant(arguments, {each.option: _draw(trial, each) for each in swept})
        print(f"\ntrial {number + 1} of {trials}: {variant.name}", flush=True)
        if variant.name not in results:  # of few values one is drawn again
            with saying_what_is_kept(), leaving_out_what_diverges(variant.name), Progress() as progress:
                results[variant.name] = experiment.fit(experiment.enter(variant), progress)
        if variant.name not in results:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        score = float(scores_of(results[variant.name]).mean())
        study.tell(trial, _sign(experiment) * score)
    if not results:
        raise TlearnError("the loss of every trial became no number, nothing is left to compare; lower the rates")
    return results


def _sign(experiment: Experiment) -> int:
    """Return what makes scores something to minimise."""
    return 1 if experiment.variants[0].data.task == "regression" else -1


def _draw(trial: Trial, swept: Swept) -> Any:
    """Let Optuna choose a value; numbers have so few digits that the variant's name holds them all."""
    if swept.ends is None:
        texts = [_as_typed(value) for value in swept.values]
        return swept.values[texts.index(trial.suggest_categorical(swept.option, texts))]
    lowest, highest = swept.ends
    log = drawn_in_logs(lowest, highest)
    if isinstance(lowest, int) and isinstance(highest, int):
        return trial.suggest_int(swept.option, lowest, highest, log=log)
    return float(f"{trial.suggest_float(swept.option, lowest, highest, log=log):.{_DIGITS}g}")


def drawn_in_logs(lowest: float, highest: float) -> bool:
    """Tell whether numbers between these ends are drawn evenly in their logarithm, not in themselves."""
    return lowest > 0 and highest / lowest > _LOG_FROM


def _say_how(experiment: Experiment, name: str, results: Mapping[str, list[RunResult]]) -> None:
    variant = next(checked.variant for checked in experiment.variants if checked.variant.name == name)
    best = min(results[name], key=lambda result: _sign(experiment) * float(scores_of([result]).mean()))
    words = ["fit", *variant.arguments.again(), f"--seed_everything={best.seed}"]
    print(f"best: {name}")
    print(f"again: {command_line(*words)}")
    print(f"checkpoint: {best.checkpoint}")
