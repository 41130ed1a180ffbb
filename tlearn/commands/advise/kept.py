"""The config that follows the advice: what it decides, and what of the user's options is kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import yaml
from jsonargparse import Namespace

from tlearn.analysis.decision import Decision
from tlearn.analysis.measurements import Measurements
from tlearn.base.errors import TlearnError
from tlearn.cli.arguments import Arguments
from tlearn.cli.config_files import leaves
from tlearn.cli.defaults import plain_config
from tlearn.commands.advise.text import expectation
from tlearn.commands.probe import STRATEGY, drop_strategy
from tlearn.commands.untrained import UntrainedCLI
from tlearn.models.options import LossOptions, names_of
from tlearn.models.weights.native_size import native_side_px
from tlearn.training.options import RateOptions

# A solved head takes no steps, to which these belong.
_OF_STEPS = names_of(RateOptions)
# The strategy: what `advise` is asked for. All other options of the model are the user's.
DECIDED = ("image_size", "optimizer", "lr_interval", *(STRATEGY.keys() - set(_OF_STEPS)))
# Options that change what a trial shows.
_IN_TRIALS = (*names_of(LossOptions), "batch_norm")
_PARTS = ("trainer", "model")


class Given:
    """The options that advice is asked for.

    Args:
        typed: See `typed_keys`.
        sizes_px: The image sizes to choose from.

    Attributes:
        epochs: Length of the strategies that take steps.
        plain: The whole config as plain values.
        defaults: The whole config where nothing is typed.
        own_px: The size that the network's weights were trained at, where it is to be looked at too.
    """

    own_px: int | None
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
        self.own_px = None if self._sizes_px else _larger_size(config)
        drop_strategy(cli, "advise", self._sizes_px or ([self.own_px] if self.own_px else []), takes_steps=True)

    def kept(self, part: str) -> dict[str, Any]:
        """Return the options of ``trainer`` or ``model`` that are the user's, see `kept_options`."""
        return kept_options(self.plain, self.defaults, self.typed, part)


def _larger_size(config: Namespace) -> int | None:
    """Return the side that the weights were trained at, where pictures can be decoded at it and are not."""
    own_px, asked_px = native_side_px(config.model.backbone, config.model.weights), config.model.image_size
    data = config.data.get("init_args") or Namespace()
    if own_px is None or (asked_px is not None and own_px <= asked_px):
        return None
    if "size_px" in data and (asked_px is None or data.size_px is not None):  # as large as they come, or as typed
        return None
    return own_px


def typed_keys(arguments: Arguments) -> set[str]:
    """Return the keys of ``trainer`` and ``model`` that configs or the command line name, such as ``model.tap``.

    What `fit` would take for pictures that are named without options is none of them: nobody typed it.
    """
    if target := arguments.target:
        options = arguments.options[len(target.options) :]
        arguments = replace(arguments, configs=[*target.configs], options=options)
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


def advised_config(given: Given, measured: Measurements, decision: Decision) -> dict[str, Any]:
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
