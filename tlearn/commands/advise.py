"""The verb `advise`: which strategy, image size and rates for these images."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Callback

from tlearn.analysis.advise import AdviseCallback
from tlearn.analysis.decision import Advice, decide
from tlearn.analysis.effects import EFFECTS
from tlearn.analysis.measurements import Facts
from tlearn.base.errors import TlearnError
from tlearn.base.files import write_whole
from tlearn.cli.arguments import Arguments
from tlearn.cli.config_files import leaves
from tlearn.cli.transfer_cli import plain_config, run_as
from tlearn.commands.advise_text import print_advice, why
from tlearn.commands.probe import ProbeCLI, take_words, with_sizes, write_result
from tlearn.training.typed import callbacks_of

# The strategy: what `advise` is asked for. All other options of the model are the user's.
DECIDED = (
    *("image_size", "tap", "head_hidden", "head_dropout", "freeze_backbone", "freeze_until", "lr_scales", "rules"),
    *("unfreeze", "head_init", "head_solver", "l2_sp", "wise_ft", "cache_views"),
    *("optimizer", "lr_scheduler", "lr_interval"),
)
# A solved head takes no steps.
_OF_STEPS = ("warmup_steps", "warmup_epochs")
# Options that change what a trial shows.
_IN_TRIALS = ("class_weights", "label_smoothing", "batch_norm")
_PARTS = ("trainer", "model")


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
        advised: What is written.
    """
    found = []
    for key in sorted(typed):
        part, _, name = key.partition(".")
        if name in given[part] and given[part][name] != advised[part].get(name):
            found.append(key)
    return [*found, *(["find_lr"] if given.get("find_lr") else [])]


_DEFAULT_OUT = Path("advised.yaml")
_USAGE = """usage: python -m tlearn advise --config CONFIG [--image_sizes 32,64,128] [--out advised.yaml]

measures on your images: probes of every stage, nested subsets, short trials of the strategies that could win; prints
what to do, why, what to expect and what it costs, and writes a config that fit takes; CONFIG and options are those of
fit: all are kept but the strategy, which is what is asked: what trains, from which rate, on which head and image size

  --image_sizes S,S  sides in pixels to choose from; model.image_size, or the data's own, by default
  --out FILE         the config to write; advised.yaml by default. All that was measured is in the run folder"""


class AdviseCLI(ProbeCLI):
    """The command line of ``fit``, of which the strategy is left open."""

    place = "advise"

    def __init__(self, arguments: Arguments, *args: Any) -> None:
        self.begin_s = time.perf_counter()
        self.typed = typed_keys(arguments)
        super().__init__(arguments, *args)

    def before_instantiate_classes(self) -> None:
        """Note the epochs before they are taken away.

        Raises:
            TlearnError: Their number is open.
        """
        epochs = self.config[self.verb].trainer.max_epochs
        if epochs is None or epochs < 1:
            raise TlearnError(
                f"advise needs trainer.max_epochs of at least 1, got {epochs}: it is what strategies may use"
            )
        self.epochs = int(epochs)
        parser = self._parser(self.verb)
        self.given = plain_config(parser, self.config[self.verb])
        # data have no default, which is no fault here
        self.defaults = yaml.safe_load(parser.dump(parser.get_defaults(), skip_none=False, skip_validation=True))
        super().before_instantiate_classes()

    def kept(self, part: str) -> dict[str, Any]:
        """Return the options of a part of the config that are the user's, see `kept_options`."""
        return kept_options(self.given, self.defaults, self.typed, part)

    def own_callbacks(self, config: dict[str, Any]) -> list[Callback]:
        """Measure, and nothing else."""
        return [AdviseCallback(self.sizes_px, self.epochs, self.begin_s, kept_in_trials(self.kept("model")))]


def advise(arguments: Arguments) -> Advice | None:
    """Print what to do and why, and write a config that does it.

    Raises:
        TlearnError: A fault in the words, data or weights that nothing can be told from, or whatever ``fit`` refuses.
    """
    if any(word in ("-h", "--help") for word in arguments.options):
        print(_USAGE)
        return None
    out, sizes_px, arguments = take_words(arguments)
    cli = run_as(with_sizes(AdviseCLI, sizes_px), arguments)
    facts = next(c for c in callbacks_of(cli.trainer) if isinstance(c, AdviseCallback)).facts
    assert facts is not None
    advice = decide(facts, EFFECTS)
    print_advice(facts, advice)
    write_result(cli.trainer, "advice.json", {"advice": asdict(advice), "facts": asdict(facts)}, None)
    out = out or _DEFAULT_OUT
    config = advised_config(cli, facts, advice)
    dropped = not_kept(cli.given, cli.typed, config)
    said = f"not as typed, for the advice decides it: {', '.join(dropped)}" if dropped else ""
    write_whole(out, _as_yaml(config, [why(facts, advice), said], out.name))
    if said:
        print(said)
    print(f"advice took {facts.start_s + facts.time_s:.0f} s; to follow it: python -m tlearn fit --config {out}")
    return advice


def advised_config(cli: AdviseCLI, facts: Facts, advice: Advice) -> dict[str, Any]:
    """Return a config that follows the advice, with all of the user's options that it does not decide.

    Args:
        cli: Knows the config that advice was asked for.
        facts: What was measured.
        advice: The choice.
    """
    options, plain = advice.choice.candidate.options, cli.given
    takes_steps = "head_solver" not in options
    model = {key: plain["model"][key] for key in ("backbone", "weights")} | {"image_size": facts.size_px}
    trainer = {key: plain["trainer"][key] for key in ("accelerator", "precision") if plain["trainer"].get(key)}
    return {
        "seed_everything": plain["seed_everything"],
        "trainer": trainer | cli.kept("trainer") | {"max_epochs": facts.epochs if takes_steps else 1},
        "model": model | kept_by(cli.kept("model"), takes_steps) | options,
        "data": plain["data"],
    }


def _as_yaml(config: dict[str, Any], reasons: list[str], name: str) -> str:
    """Write a config, with the reasons above it."""
    words = [f"python -m tlearn fit --config {name}"]
    for reason in filter(None, reasons):
        words += ["", *textwrap.wrap(reason, 116)]
    header = "".join(f"# {line}".rstrip() + "\n" for line in words)
    return header + yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
