"""The end of a race: what it could end with, the choice, and the run that is the result."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from tlearn.analysis.race.choice import Choice, Finisher, averages_of
from tlearn.analysis.race.paired import image_losses, loss_and_score
from tlearn.analysis.race.recipes import HEAD, HEADS, LAST
from tlearn.base.errors import TlearnError
from tlearn.base.files import write_whole
from tlearn.base.places import newest_first, version_of
from tlearn.base.types import Task
from tlearn.cli.transfer_cli import run as run_verb
from tlearn.commands.race.members import Answers, Member
from tlearn.commands.race.text import called
from tlearn.commands.race.track import EPOCHS, Track, words_without
from tlearn.models.ensembles.average import averaged_outputs
from tlearn.reporting.card.files import read_card, write_card, write_pages
from tlearn.training.callbacks.checkpoints import run_folder

RACE_FILE = "race.json"


def finishers_of(task: Task, members: Sequence[Member]) -> list[Finisher]:
    """Return what the race could end with: each finished member, and averages of two that were trained.

    Where fewer than two were, it is the head and the one that was.

    Args:
        task: Decides how answers are averaged.
        members: All of them.
    """
    answers = {member.name: found for member in members if member.outcome == "finished" and (found := member.answers())}
    spent_s = {member.name: member.seconds for member in members}
    singles = [Finisher(called(name), (name,), 1, spent_s[name], found.outputs) for name, found in answers.items()]
    losses = {name: _loss(task, found) for name, found in answers.items()}
    tuned = [name for name in answers if name not in HEADS and losses[name] < float("inf")]
    heads = [name for name in (HEAD, LAST) if name in answers]
    pairs = averages_of(tuned) or ([(heads[0], tuned[0])] if heads and tuned else [])
    return [*singles, *(_average(task, pair, answers, spent_s) for pair in pairs)]


def _average(task: Task, names: tuple[str, ...], answers: dict[str, Answers], spent_s: dict[str, float]) -> Finisher:
    outputs = averaged_outputs(task, torch.stack([answers[name].outputs for name in names]))
    return Finisher(" + ".join(names), names, len(names), sum(spent_s[name] for name in names), outputs)


def _loss(task: Task, answers: Answers) -> float:
    loss = float(image_losses(task, answers.outputs, answers.targets).mean())
    return loss if loss == loss else float("inf")


def make_result(track: Track, choice: Choice, members: Sequence[Member], typed: str, content: dict[str, Any]) -> Path:
    """Make the run that is the result, an ordinary one, with ``race.json`` and its section in the report.

    Args:
        track: What all members share.
        choice: What the race ends with.
        members: All of them.
        typed: The command, as it was typed.
        content: Of ``race.json``.

    Returns:
        Its folder.

    Raises:
        TlearnError: It cannot be written.
    """
    chosen = [member for member in members if member.name in choice.finisher.members]
    if len(chosen) == 1 and chosen[0].ends_at_its_best:
        return _copied(chosen[0], track.folder.parent, typed, content)
    folder = _averaged(track, chosen)
    card = {**read_card(folder), "command": typed}
    write_whole(folder / RACE_FILE, json.dumps(content, indent=1))
    write_card(folder, card)
    return folder


def _copied(member: Member, parent: Path, typed: str, content: dict[str, Any]) -> Path:
    """Copy a member's run under the first free number; half a copy is never seen."""
    partial = parent / ".race.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(member.run, partial)
        write_whole(partial / RACE_FILE, json.dumps(content, indent=1))
        number = max((version_of(run) for run in newest_first(parent)), default=-1) + 1
        folder = parent / f"version_{number}"
        partial.rename(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise TlearnError(
            f"the result could not be written to {parent}: {error.strerror or error}; make room, and type the same "
            "command again: what was trained is kept"
        ) from error
    place = {"folder": str(folder), "name": parent.name, "version": number}
    write_card(folder, {**read_card(folder), **place, "command": typed})
    write_pages(folder, read_card(folder))
    return folder


def _averaged(track: Track, chosen: Sequence[Member]) -> Path:
    """Make one run of the last epoch of each network, by ``model.ensemble``; of one network too."""
    names = json.dumps([str(member.last) for member in chosen])
    kept = [word for word in words_without(track.arguments, EPOCHS) if not word.startswith("--model.")]
    arguments = replace(track.arguments, options=[*kept, f"--model.ensemble={names}"])
    with redirect_stdout(StringIO()):  # the race says in its own words what it ends with
        cli = run_verb(arguments)
    return run_folder(cli.trainer)


def race_facts(
    track: Track, members: Sequence[Member], finishers: Sequence[Finisher], choice: Choice, time: dict[str, Any]
) -> dict[str, Any]:
    """Return the content of ``race.json``: each member, what could have been the result, and the choice."""
    task = track.data.task
    targets = next(found for member in members if (found := member.answers())).targets

    def figures(each: Finisher) -> dict[str, Any]:
        return dict(zip(("val_loss", "val_score"), loss_and_score(task, each.outputs, targets), strict=True))

    return {
        "format": 1,
        "task": task,
        "val_images": len(targets),
        **time,
        "members": [
            {
                "name": member.name,
                "epochs": len(member.losses),
                "planned": member.planned,
                "val_losses": member.losses,
                "seconds": round(member.seconds, 1),
                "outcome": member.outcome,
                "why": member.why,
                "options": member.options,
                "run": str(member.run),
            }
            for member in members
        ],
        "finishers": [
            {"name": each.name, "members": list(each.members), "passes": each.passes, **figures(each)}
            for each in finishers
        ],
        "choice": {
            "name": choice.finisher.name,
            "members": list(choice.finisher.members),
            "passes": choice.finisher.passes,
            "reason": choice.reason,
            "differences": [vars(each) for each in choice.differences],
            "left_out": list(choice.left_out),
        },
    }
