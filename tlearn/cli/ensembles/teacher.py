"""What ``model.distill_from`` means for a command: which checkpoint teaches, what it costs, what it may have seen."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from tlearn.base.places import as_told, find_named
from tlearn.cli.ensembles.seen import warn_of_other_split
from tlearn.cli.resume import Checkpoint
from tlearn.models.ensembles.build import members_in, networks_of
from tlearn.training.module import TransferModule

log = logging.getLogger(__name__)

_OPTION = "model.distill_from"
_ONLY_ANSWER = ("validate", "test", "predict")  # a student answers without its teacher


def settle_teacher(config: Namespace, verb: str, checkpoint: Checkpoint | None) -> None:
    """Name the teacher by its checkpoint, so that a config means this one alone.

    Args:
        config: Of the verb, parsed; changed in place.
        verb: At hand.
        checkpoint: Of a run that goes on, which needs its teacher again.

    Raises:
        TlearnError: There is no such run.
    """
    named = config.model.get("distill_from")
    if not named or verb in _ONLY_ANSWER:
        return
    note = ""
    if checkpoint is not None:
        note = f"the run learns from it and goes on with it: put it back, or say where it lies: --{_OPTION} PATH"
    config.model.distill_from = as_told(find_named(_OPTION, named, note))


def say_teacher(student: TransferModule, config: Mapping[str, Any]) -> None:
    """Open the teacher, if there is one, say what it costs, and warn where it may have learned from what validates.

    Args:
        student: Learns from it.
        config: The whole config as plain values.

    Raises:
        TlearnError: It cannot teach this network.
    """
    if not student.distillation:
        return
    teacher = student.distillation.meet(student)
    path, members = config["model"]["distill_from"], members_in(teacher.options.ensemble or [])
    passes = len(networks_of(members)) or 1
    log.info(
        "taught by %s (%s): each training image takes %d pass%s of the teacher more in every epoch",
        *(path, teacher.options.backbone, passes, "" if passes == 1 else "es"),
    )
    warn_of_other_split(Path(path), config, "the student's validation then flatters")
