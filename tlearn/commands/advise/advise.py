"""The verb ``advise``, and `tlearn.advise`: which strategy, image size and rates for your images."""

from __future__ import annotations

import shlex
import textwrap
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tlearn.analysis.decision import Decision, decide
from tlearn.analysis.effects import EFFECTS, GAINS
from tlearn.analysis.learning_curve import log_curve
from tlearn.analysis.measurements import Measurements, measure, parts_of
from tlearn.analysis.probe import log_curves
from tlearn.base.errors import TlearnError
from tlearn.base.files import write_whole
from tlearn.base.next_command import command_line
from tlearn.base.progress import Progress
from tlearn.cli.arguments import Arguments, with_own
from tlearn.cli.config_files import ADVISED, leaves
from tlearn.cli.defaults import plain_config
from tlearn.cli.faults import translated_faults
from tlearn.cli.isolation import called_from_python
from tlearn.cli.targets.calls import arguments_of
from tlearn.commands.advise.text import expectation, price_line, print_advice, why
from tlearn.commands.probe import STRATEGY, drop_strategy, take_words, write_result
from tlearn.commands.untrained import UntrainedCLI, untrained
from tlearn.models.options import LossOptions, names_of
from tlearn.training.options import RateOptions

# A solved head takes no steps, to which these belong.
_OF_STEPS = names_of(RateOptions)
# The strategy: what `advise` is asked for. All other options of the model are the user's.
DECIDED = ("image_size", "optimizer", "lr_interval", *(STRATEGY.keys() - set(_OF_STEPS)))
# Options that change what a trial shows.
_IN_TRIALS = (*names_of(LossOptions), "batch_norm")
_PARTS = ("trainer", "model")
_DEFAULT_OUT = Path(ADVISED)
_WIDTH = 79  # columns of a line that is wrapped


@dataclass(frozen=True)
class Advice:
    """The advice for your images: a config, the reasons, and what to expect.

    Attributes:
        config: A config that `tlearn.fit` takes. It follows the advice and keeps your other options.
        text: The reasons, in one paragraph.
        decision: The strategy that was chosen, and the expected score and cost of every other.
        measurements: Everything that the decision rests on.
        not_kept: Dotted names of options that were given and that the advice decides otherwise.
        time_s: Seconds that the advice took.
    """

    config: dict[str, Any]
    text: str
    decision: Decision
    measurements: Measurements
    not_kept: list[str]
    time_s: float

    def write(self, path: str | Path) -> None:
        """Write the config as YAML, with the reasons above it.

        Raises:
            TlearnError: The file cannot be written.
        """
        write_whole(Path(path), _as_yaml(self.config, [self.text, _said(self.not_kept)], Path(path).name))


def advise(
    config: str | Path | Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    image_sizes: Sequence[int] | None = None,
    folds: int | None = None,
    out: str | Path | None = None,
) -> Advice:
    """Measure what would pay for your images, as ``tlearn advise`` does.

    Args:
        config: A folder of pictures, a table or a config, as for `tlearn.fit`. Its strategy is what is asked for; all
            other options are kept.
        options: Dotted option names to values; they beat the config.
        image_sizes: Sides in pixels to choose from; by default ``model.image_size``, or the data's own.
        folds: Leave out training images by so many folds, of whole groups; by default by group, or by image.
        out: A YAML file to write the advised config to. `Advice.config` holds it too.

    Raises:
        TlearnError: A fault in the options, the data or the weights, or whatever `tlearn.fit` refuses.
    """
    with called_from_python():
        asked = ask(arguments_of("advise", config, with_own(options, image_sizes=image_sizes, folds=folds, out=out)))
        _keep(asked)
        if asked.out is not None:
            asked.advice.write(asked.out)
        return asked.advice


def run(arguments: Arguments) -> None:
    """Print what to do and why, and write a config that does it."""
    asked = ask(arguments)
    advice, out = asked.advice, asked.out or _DEFAULT_OUT
    print_advice(advice.measurements, advice.decision)
    places = _keep(asked)
    advice.write(out)
    if advice.not_kept:
        print(textwrap.fill(_said(advice.not_kept), _WIDTH, break_long_words=False, break_on_hyphens=False))
    print(f"advice took {advice.time_s:.0f} s; all of it: {', '.join(map(str, places))}")
    if advice.decision.price is not None:
        print(price_line(advice.decision.price))
    print(f"next: {command_line('fit', out)}")
    print(f"or a race of real runs that keeps the best: {asked.race}")


class Asked(NamedTuple):
    """A command line of advice, the advice, the file to write the config to, and the command of a race in its place."""

    cli: UntrainedCLI
    advice: Advice
    out: Path | None
    race: str


def ask(arguments: Arguments) -> Asked:
    """Measure and decide as a command line says; see `advise`."""
    begin_s = time.perf_counter()
    out, sizes_px, folds, arguments = take_words(arguments)
    given = _Given(typed_keys(arguments), sizes_px)
    cli = untrained(arguments, change=given.take)
    with translated_faults(arguments), cli.measuring(), Progress("advise", parts_of(cli.model), parts=True):
        start_s, trials = time.perf_counter() - begin_s, kept_in_trials(given.kept("model"))
        measured = measure(cli.trainer, cli.model, sizes_px, given.epochs, start_s, trials, folds)
        log_curves(cli.trainer.loggers, measured.probe)
        if measured.forecast:
            log_curve(cli.trainer.loggers, measured.forecast)
    decision = decide(measured, EFFECTS, GAINS)
    config = advised_config(given, measured, decision)
    dropped = not_kept(given.plain, given.typed, config)
    text, time_s = why(measured, decision), measured.start_s + measured.time_s
    race = command_line("fit", *arguments.again(), "--budget", "auto")
    return Asked(cli, Advice(config, text, decision, measured, dropped, time_s), out, race)


def _keep(asked: Asked) -> list[Path]:
    content = {"advice": asdict(asked.advice.decision), "facts": asdict(asked.advice.measurements)}
    return write_result(asked.cli, "advice.json", content, None)


def _said(dropped: Collection[str]) -> str:
    return f"not as typed, for the advice decides it: {', '.join(dropped)}" if dropped else ""


class _Given:
    """The options that advice is asked for.

    Args:
        typed: See `typed_keys`.
        sizes_px: The image sizes to choose from.

    Attributes:
        epochs: Length of the strategies that take steps.
        plain: The whole config as plain values.
        defaults: The whole config where nothing is typed.
    """

    epochs: int
    plain: dict[str, Any]
    defaults: dict[str, Any]

    def __init__(self, typed: set[str], sizes_px: Sequence[int]) -> None:
        self.typed, self._sizes_px = typed, sizes_px

    def take(self, cli: UntrainedCLI) -> None:
        """Note the options, then take the strategy out of them.

        Raises:
            TlearnError: The number of epochs is open.
        """
        config, parser = cli.config[cli.verb], cli.verb_parser
        epochs = config.trainer.max_epochs
        if epochs is None or epochs < 1:
            raise TlearnError(
                f"advise needs trainer.max_epochs of at least 1, got {epochs}: it is what strategies may use"
            )
        self.epochs, self.plain = int(epochs), plain_config(parser, config)
        # data have no default, which is no fault here
        self.defaults = yaml.safe_load(parser.dump(parser.get_defaults(), skip_none=False, skip_validation=True))
        drop_strategy(cli, "advise", self._sizes_px)

    def kept(self, part: str) -> dict[str, Any]:
        """Return the options of ``trainer`` or ``model`` that are the user's, see `kept_options`."""
        return kept_options(self.plain, self.defaults, self.typed, part)


def typed_keys(arguments: Arguments) -> set[str]:
    """Return the keys of ``trainer`` and ``model`` that configs or the command line name, such as ``model.tap``."""
    named = [option.lstrip("-").rstrip("+") for option, _ in arguments.pairs()]
    named += [key for config in arguments.configs for key, _ in leaves(config.content)]
    return {".".join(key.split(".")[:2]) for key in named if key.partition(".")[0] in _PARTS}


def kept_options(
    given: Mapping[str, Any], defaults: Mapping[str, Any], typed: Collection[str], part: str
) -> dict[str, Any]:
    """Return the options of the trainer or the model that are the user's: those typed, and those that are no default.

    Args:
        given: The whole config that advice was asked for.
        defaults: The whole config where nothing is typed.
        typed: See `typed_keys`.
        part: ``trainer`` or ``model``.
    """
    decided = DECIDED if part == "model" else ("max_epochs",)
    return {
        name: value
        for name, value in given[part].items()
        if name not in decided and (value != defaults[part].get(name) or f"{part}.{name}" in typed)
    }


def kept_in_trials(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the model's options that are kept which every strategy is tried with."""
    return {name: kept[name] for name in _IN_TRIALS if name in kept}


def kept_by(kept: Mapping[str, Any], takes_steps: bool) -> dict[str, Any]:
    """Return those of the model's options that are kept which have something to act on."""
    return {name: value for name, value in kept.items() if takes_steps or name not in _OF_STEPS}


def not_kept(given: Mapping[str, Any], typed: Collection[str], advised: Mapping[str, Any]) -> list[str]:
    """List what was typed, as dotted keys, and is another thing, or nothing, in the config that follows the advice.

    Args:
        given: The whole config that advice was asked for.
        typed: See `typed_keys`.
        advised: The config that follows the advice.
    """
    found = []
    for key in sorted(typed):
        part, _, name = key.partition(".")
        if name in given[part] and given[part][name] != advised[part].get(name):
            found.append(key)
    return [*found, *(["find_lr"] if given.get("find_lr") else [])]


def advised_config(given: _Given, measured: Measurements, decision: Decision) -> dict[str, Any]:
    """Return a config that follows the advice, with all of the user's options that it does not decide.

    Args:
        given: The options that advice was asked for.
        measured: Everything that was measured.
        decision: The choice.
    """
    options, plain = decision.choice.candidate.options, given.plain
    takes_steps = "head_solver" not in options
    model = {key: plain["model"][key] for key in ("backbone", "weights")} | {"image_size": measured.size_px}
    trainer = {key: plain["trainer"][key] for key in ("accelerator", "precision") if plain["trainer"].get(key)}
    return {
        "seed_everything": plain["seed_everything"],
        "trainer": trainer | given.kept("trainer") | {"max_epochs": measured.epochs if takes_steps else 1},
        "model": model | kept_by(given.kept("model"), takes_steps) | options,
        "data": plain["data"],
        "advice": expectation(measured, decision),
    }


def _as_yaml(config: dict[str, Any], reasons: list[str], name: str) -> str:
    """Write a config, with the reasons above it."""
    words = [f"tlearn fit {shlex.quote(name)}"]
    for reason in filter(None, reasons):
        words += ["", *textwrap.wrap(reason, 116)]
    header = "".join(f"# {line}".rstrip() + "\n" for line in words)
    return header + yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
