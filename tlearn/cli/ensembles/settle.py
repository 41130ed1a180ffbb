"""What ``model.ensemble`` means for the other options of a fit: the members answer for those that nobody typed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from jsonargparse import Namespace

from tlearn.base.errors import TlearnError
from tlearn.cli.arguments import Arguments
from tlearn.cli.config_files import Config, last_value
from tlearn.cli.ensembles.seen import data_of, warn_of_other_split
from tlearn.cli.resume import Checkpoint
from tlearn.models.ensembles.build import networks_of
from tlearn.models.members import Ensemble, differing, find_members, idle_beside, open_ensemble

log = logging.getLogger(__name__)

_OPTION = "--model.ensemble"
_BESIDE = ("model.ensemble", "model.feature_cache", "model.feature_cache_gb")
_DEFAULT_OPTIMIZER = {"lr": 0.001, "momentum": 0.9}  # of SGD


def words_with_members(arguments: Arguments) -> list[Config] | None:
    """Return the configs of a fit whose members are typed; ``None`` where none are, and the configs say everything.

    What configs say of a network does not count, and data of the same kind are those of the first member, but for what
    is typed: so the same images validate.

    Raises:
        TlearnError: Another option of the model is typed, or a member cannot be read.
    """
    added = [str(value) for name, value in arguments.pairs() if name == f"{_OPTION}+"]
    if added:
        raise TlearnError(
            f"{_OPTION}+ adds to a list that is not there; name all members at once: {_OPTION} '[{', '.join(added)}]'"
        )
    typed = arguments.value_of(_OPTION)
    if typed is None or typed in ("null", "None"):
        return None
    _refuse_beside([name for name, _ in arguments.pairs()])
    configs = [config.without("model") for config in arguments.configs]
    if _named(arguments) and any("model" in config.content for config in arguments.configs):
        log.warning("model.ensemble: the network is that of its members; what configs say under model does not count")
    data = data_of(find_members(_list(typed))[0])
    if data is None or arguments.data is not None:
        return configs
    given = [config.content for config in arguments.configs]
    kind = (
        arguments.value_of("--data.class_path") or arguments.value_of("--data") or last_value(given, "data.class_path")
    )
    if kind is not None and _last(kind) != _last(data["class_path"]):
        return configs
    config = Config({"data": data})
    return [config, *configs] if _named(arguments) else [*configs, config]  # a target's own words come behind


def settle_ensemble(config: Namespace, checkpoint: Checkpoint | None, looks: str = "") -> Ensemble | None:
    """Let the members answer for the network, and name them by their checkpoints, so that a config means these alone.

    Args:
        config: Of the verb, parsed; changed in place.
        checkpoint: That of an ensemble describes its members, which need not be there any more.
        looks: A verb that runs nothing and looks at a network that is to be trained, which members are not.

    Returns:
        The members; ``None`` where there are none.

    Raises:
        TlearnError: A member cannot be taken, members differ, or an option contradicts them.
    """
    model = config.model
    if not model.get("ensemble"):
        return None
    if looks:
        raise TlearnError(f"{looks} looks at a network that is to be trained; model.ensemble is for fit")
    described = None if checkpoint is None else checkpoint.members
    if described is None and not _is_default(model.optimizer):
        raise TlearnError("model.ensemble: its members are trained, and model.optimizer would do nothing; drop it")
    ensemble = open_ensemble(described or model.ensemble)
    follows = ensemble.options()
    for name in ("image_size", "in_channels"):
        if model[name] not in (follows[name], None, 3 if name == "in_channels" else None):
            raise differing(name, model[name], follows[name])
        model[name] = follows[name]
    model.weights = None
    if described is None:
        model.backbone = follows["backbone"] if model.backbone == "resnet18" else model.backbone
        model.ensemble = [each.run for each in ensemble.members]
    return ensemble


def put_ensemble(config: Namespace, ensemble: Ensemble | None, plain: Mapping[str, Any]) -> None:
    """Give the model the members that its checkpoint describes, or say what those that are named cost; once only.

    Args:
        config: Of the verb, parsed; changed in place.
        ensemble: From `settle_ensemble`.
        plain: The config as plain values, which names the members.
    """
    if ensemble is None:
        return
    del config.model["optimizer"]  # it steps in none
    if ensemble.read:
        _say_price(ensemble, plain)
    else:
        config.model.ensemble = ensemble.options()["ensemble"]


def _say_price(ensemble: Ensemble, config: Mapping[str, Any]) -> None:
    """Say how many passes a picture takes, and warn of members that may have learned from images that validate here."""
    members = ensemble.members
    passes = len(networks_of(members))
    shared = "" if passes == len(members) else f", of which {len(members) - passes + 1} share a backbone"
    log.info(
        "%d member%s%s: each picture takes %d pass%s",
        *(len(members), "" if len(members) == 1 else "s", shared, passes, "" if passes == 1 else "es"),
    )
    for read in ensemble.read:
        warn_of_other_split(read.path, config, "the calibration then flatters")


def _refuse_beside(names: Sequence[str]) -> None:
    for name in (name.removeprefix("--") for name in names):
        if name.partition(".")[0] == "model" and name not in _BESIDE:
            raise idle_beside(name)


def _list(typed: str) -> list[Any]:
    try:
        found = yaml.safe_load(typed)
    except yaml.YAMLError:
        found = None
    if not isinstance(found, list):
        raise TlearnError(f"model.ensemble: expected a list of runs or checkpoints, '[runs/a, runs/b]', got {typed}")
    return found


def _named(arguments: Arguments) -> bool:
    """Tell whether configs were named, and do not stand for a target."""
    return bool(arguments.target.configs if arguments.target else arguments.configs)


def _last(name: str) -> str:
    return str(name).rpartition(".")[2]


def _is_default(optimizer: Any) -> bool:
    options = {} if optimizer is None else dict(optimizer.get("init_args") or {})
    is_sgd = optimizer is None or _last(optimizer.get("class_path", "")) == "SGD"
    return is_sgd and all(options.get(name, value) == value for name, value in _DEFAULT_OPTIMIZER.items())
