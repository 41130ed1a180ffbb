"""The verb ``advise``, and `tlearn.advise`: which strategy, image size and rates for your images."""

from __future__ import annotations

import shlex
import textwrap
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tlearn.analysis.backbones.choice import Contest
from tlearn.analysis.decision import Decision, decide
from tlearn.analysis.effects import EFFECTS, GAINS
from tlearn.analysis.learning_curve import log_curve
from tlearn.analysis.measurements import Measurements, measure, parts_of
from tlearn.analysis.probe import log_curves
from tlearn.base.files import write_whole
from tlearn.base.next_command import command_line
from tlearn.base.progress import Progress
from tlearn.base.terminal.wrapping import filled
from tlearn.cli.arguments import Arguments, with_own
from tlearn.cli.config_files import ADVISED
from tlearn.cli.faults import translated_faults
from tlearn.cli.isolation import called_from_python
from tlearn.cli.targets.calls import arguments_of
from tlearn.commands.advise.backbones import (
    choose_network,
    named_networks,
    parser_of_backbones,
    print_networks,
    with_network,
)
from tlearn.commands.advise.kept import Given, advised_config, kept_in_trials, not_kept, typed_keys
from tlearn.commands.advise.own_size import with_own_size
from tlearn.commands.advise.text import price_line, print_advice, size_of, why
from tlearn.commands.probe import take_words, write_result
from tlearn.commands.untrained import UntrainedCLI, untrained

_DEFAULT_OUT = Path(ADVISED)


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
        networks: How the networks compare that were to choose from; ``None`` where none were named.
    """

    config: dict[str, Any]
    text: str
    decision: Decision
    measurements: Measurements
    not_kept: list[str]
    time_s: float
    networks: Contest | None = None

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
    backbones: str | Sequence[str] | None = None,
    out: str | Path | None = None,
) -> Advice:
    """Measure what would pay for your images, as ``tlearn advise`` does.

    Args:
        config: A folder of pictures, a table or a config, as for `tlearn.fit`. Its strategy is what is asked for; all
            other options are kept.
        options: Dotted option names to values; they beat the config.
        image_sizes: Sides in pixels to choose from; by default ``model.image_size``, or the data's own.
        folds: Leave out training images by so many folds, of whole groups; by default by group, or by image.
        backbones: Networks to choose from: ``NAME``, or ``NAME=FILE`` with weights of your own; ``auto`` stands for
            those whose weights are on this machine.
        out: A YAML file to write the advised config to. `Advice.config` holds it too.

    Raises:
        TlearnError: A fault in the options, the data or the weights, or whatever `tlearn.fit` refuses.
    """
    with called_from_python():
        named = backbones if backbones is None or isinstance(backbones, str) else ",".join(backbones)
        own = with_own(options, image_sizes=image_sizes, folds=folds, backbones=named, out=out)
        asked = ask(arguments_of("advise", config, own))
        _keep(asked)
        if asked.out is not None:
            asked.advice.write(asked.out)
        return asked.advice


def run(arguments: Arguments) -> None:
    """Print what to do and why, and write a config that does it."""
    asked = ask(arguments, print_networks)
    advice, out = asked.advice, asked.out or _DEFAULT_OUT
    print_advice(advice.measurements, advice.decision)
    places = _keep(asked)
    advice.write(out)
    if advice.not_kept:
        print(filled(_said(advice.not_kept)))
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


def ask(arguments: Arguments, say: Callable[[Contest], None] = lambda _: None) -> Asked:
    """Measure and decide as a command line says; see `advise`.

    Args:
        arguments: The command line.
        say: Told how the networks compare, where several are to choose from, before the rest begins.
    """
    begin_s = time.perf_counter()
    own, sizes_px, folds, arguments = take_words(arguments, parser_of_backbones())
    named = named_networks(own.backbones, arguments)
    networks = choose_network(named, arguments, sizes_px, folds) if named else None
    if networks is not None:
        say(networks)
        arguments, begin_s = with_network(arguments, networks.chosen), time.perf_counter()
    given = Given(typed_keys(arguments), sizes_px)
    cli = untrained(arguments, change=given.take)
    with (
        translated_faults(arguments),
        cli.measuring(),
        Progress("advise", parts_of(cli.model, given.own_px), parts=True),
    ):
        start_s, trials = time.perf_counter() - begin_s, kept_in_trials(given.kept("model"))
        measured = measure(cli.trainer, cli.model, sizes_px, given.epochs, start_s, trials, folds, given.own_px)
        log_curves(cli.trainer.loggers, measured.probe)
        if measured.forecast:
            log_curve(cli.trainer.loggers, measured.forecast)
    decision = with_own_size(decide(measured, EFFECTS, GAINS), measured)
    config = advised_config(given, measured, decision)
    dropped = not_kept(given.plain, given.typed, config)
    text, time_s = why(measured, decision), measured.start_s + measured.time_s
    size_px = size_of(measured, decision)
    size = [f"--model.image_size={size_px}"] if sizes_px or size_px != measured.size_px else []  # a race chooses none
    race = command_line("fit", *arguments.again(), *size, "--budget", "auto")
    return Asked(cli, Advice(config, text, decision, measured, dropped, time_s, networks), own.out, race)


def _keep(asked: Asked) -> list[Path]:
    content = {"advice": asdict(asked.advice.decision), "facts": asdict(asked.advice.measurements)}
    if asked.advice.networks is not None:
        content["networks"] = asdict(asked.advice.networks)
    return write_result(asked.cli, "advice.json", content, None)


def _said(dropped: Collection[str]) -> str:
    return f"not as typed, for the advice decides it: {', '.join(dropped)}" if dropped else ""


def _as_yaml(config: dict[str, Any], reasons: list[str], name: str) -> str:
    """Write a config, with the reasons above it."""
    words = [f"tlearn fit {shlex.quote(name)}"]
    for reason in filter(None, reasons):
        words += ["", *textwrap.wrap(reason, 116)]
    header = "".join(f"# {line}".rstrip() + "\n" for line in words)
    return header + yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
