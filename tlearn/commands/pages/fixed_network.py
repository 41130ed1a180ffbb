"""From the words behind ``review`` or ``label`` to data and a fixed network: a run's, or that of a config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from tlearn.base.errors import TlearnError
from tlearn.base.program import program
from tlearn.cli.arguments import Arguments
from tlearn.cli.config_files import Config
from tlearn.cli.resume import Checkpoint, defaults_from, open_checkpoint
from tlearn.commands.probe import drop_strategy
from tlearn.commands.untrained import UntrainedCLI, untrained


class FixedNetwork(NamedTuple):
    """Data and network, made and not run.

    Attributes:
        cli: Both; see `UntrainedCLI.looking`.
        remark: Which network looks, where that is not plain.
    """

    cli: UntrainedCLI
    remark: str = ""


def fixed_network(arguments: Arguments, makes: Literal["data", "all"] = "all") -> FixedNetwork:
    """Make data and network of a folder, a table, a config or a run.

    A run that froze its backbone lends its own network. One that fine-tuned it may have learned wrong labels by heart,
    so the network that it began with is made again.

    Args:
        arguments: The command line without the verb's own options; a run is its ``--ckpt_path``.
        makes: The data alone, or all of it.

    Raises:
        TlearnError: Whatever ``fit`` would refuse, or a run that does not say where its pictures are.
    """
    if arguments.value_of("--ckpt_path") is None:
        return FixedNetwork(untrained(replace(arguments, verb="fit"), makes, _fix))
    checkpoint = open_checkpoint(replace(arguments, verb="validate"))
    assert checkpoint is not None
    if not checkpoint.config:
        raise TlearnError(
            f"{checkpoint.path} was made from Python and does not say where its pictures are; name them: "
            f"{program()} {arguments.verb} FOLDER --model.weights {checkpoint.path}"
        )
    before, after = defaults_from(checkpoint, "validate")
    model, remark = _model_of(checkpoint, after["model"])
    configs = [Config({**before, "model": model}), *arguments.configs]
    made = replace(arguments, verb="fit", configs=configs, options=_without_checkpoint(arguments))
    return FixedNetwork(untrained(made, makes, _fix), remark)


def _model_of(checkpoint: Checkpoint, model: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    if model.get("freeze_backbone") and not model.get("unfreeze") and not model.get("rules"):
        return {**model, "weights": str(checkpoint.path)}, ""
    run = checkpoint.run_folder or checkpoint.path
    remark = (
        f"{run} fine-tuned its network, which may have learned wrong labels by heart: the network that it began with "
        "looks at the pictures"
    )
    return dict(model), remark


def _without_checkpoint(arguments: Arguments) -> list[str]:
    kept, drops = list[str](), False
    for word in arguments.options:
        if drops or word.startswith("--ckpt_path="):
            drops = False
        elif word == "--ckpt_path":
            drops = True
        else:
            kept.append(word)
    return kept


def _fix(cli: UntrainedCLI) -> None:
    """Let nothing train, keep what the head sees, and leave no run folder."""
    cli.chooses = False  # so nothing need validate
    config = cli.config[cli.verb]
    tap = config.model.tap
    drop_strategy(cli, place="review", sizes_px=())
    config.model.update(tap, "tap")
    config.model.update(True, "freeze_backbone")
    config.trainer.update(False, "logger")
