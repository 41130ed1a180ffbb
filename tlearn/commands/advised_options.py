"""What of the user's options `advise` keeps, and what it decides in their place. Pure: plain configs in and out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tlearn.cli.arguments import Arguments
from tlearn.cli.config_files import leaves, read_config

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
    named += [key for path in arguments.configs for key, _ in leaves(read_config(path))]
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
