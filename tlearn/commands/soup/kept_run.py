"""Make a whole run of what is kept: checkpoint, calibration, report, all that a fit writes, without a training step."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.files import whole_file
from tlearn.base.places import DEFAULT_ROOT
from tlearn.cli.arguments import Arguments
from tlearn.cli.config_files import Config
from tlearn.cli.transfer_cli import run_as
from tlearn.commands.fit import Run, run_of
from tlearn.commands.soup.answers import fit_config
from tlearn.commands.soup.comparison import SoupComparison
from tlearn.commands.soup.members import Member
from tlearn.commands.untrained import UntrainedCLI
from tlearn.models.about import KEY
from tlearn.models.calibration import AS_TRAINED

_FOLDER = "soup"  # of the runs, under the root of runs
_HEX = 8


class _KeptCLI(UntrainedCLI):
    """Runs the fit as soon as all is made: an ensemble is for nothing else."""

    runs = True


def fit_kept(found: SoupComparison, members: Sequence[Member], rest: Arguments, name: str) -> Run:
    """Write the run, calibrated on validation.

    Args:
        found: What is kept.
        members: The runs that were compared.
        rest: The command line without the words of the verb.
        name: The run is ``soup/NAME/version_N`` under the root of runs.

    Raises:
        TlearnError: Whatever the fit refuses.
    """
    place, config = f"{_FOLDER}/{name}", _config(found, members, rest, name)

    def put(cli: UntrainedCLI) -> None:
        """Name the run after its place."""
        cli.run_name = place

    fit = replace(rest, verb="fit", configs=[Config(config)])
    return run_of(run_as(partial(_KeptCLI, "all", put), fit))


def _config(found: SoupComparison, members: Sequence[Member], rest: Arguments, name: str) -> dict[str, Any]:
    """Return the config of a fit that makes what is kept, without a step."""
    kept, of = found.kept.candidate, {each.name: each for each in members}
    first = of[kept.members[0]]
    if kept.kind == "ensemble":
        config = fit_config(first, "")
        return {**config, "model": {"ensemble": [str(of[each].checkpoint.path) for each in kept.members]}}
    weights = first.checkpoint.path
    if kept.kind != "single":
        root = Path(rest.value_of("--trainer.default_root_dir") or DEFAULT_ROOT)
        weights = _written(root / _FOLDER / name, first, found.states[kept.name])
    config = fit_config(first, str(weights))
    optimizer = {"class_path": "SGD", "init_args": {"lr": 0.0}}  # nothing changes the weights
    model = {**config["model"], "freeze_backbone": True, "optimizer": optimizer}
    return {**config, "model": model, "trainer": {**config["trainer"], "max_epochs": 1}}


def _written(folder: Path, member: Member, state: Mapping[str, Tensor]) -> Path:
    """Write the weights of a soup as a checkpoint, named after its bits, and return its path."""
    digest = hashlib.sha256(b"".join(value.contiguous().numpy().tobytes() for value in state.values()))
    path = folder / f"weights-{digest.hexdigest()[:_HEX]}.ckpt"
    about = {**member.content[KEY], **AS_TRAINED._asdict()}
    content = {
        "epoch": 0,
        "global_step": 0,
        "state_dict": {**member.content["state_dict"], **state},
        "hyper_parameters": member.content["hyper_parameters"],
        KEY: about,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TlearnError(
            f"{folder.absolute()} cannot be made: {error.strerror}; --trainer.default_root_dir"
        ) from error
    with whole_file(path) as partial:
        torch.save(content, partial)
    return path
