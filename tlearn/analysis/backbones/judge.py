"""Judge a network by its features of the images that it saw. Pure. N images, K outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from tlearn.analysis.stage_probe import TOGETHER, Labelled, left_out_answers, wanted_outputs
from tlearn.base.types import Task
from tlearn.training.strategies.known_labels import known_groups


class Judged(NamedTuple):
    """What a linear head answers for images that it was made without.

    Attributes:
        losses: Squared error of each image, (N,): over few images it has less noise than right and wrong.
        answers: (N, K).
    """

    losses: Tensor
    answers: Tensor


def judge(
    task: Task, parts: Mapping[str, Tensor], last: str, targets: Tensor, count: int, folds: Tensor | None
) -> Judged:
    """Answer by heads on the last stage and on all stages side by side, and return those that err less.

    Args:
        task: Kind of targets.
        parts: Stage to its features, (N, D); all stages side by side too, unless they are too wide.
        last: Name of the last stage.
        targets: Those of the images.
        count: K.
        folds: See `left_out_answers`.
    """
    wanted, found = wanted_outputs(task, targets, count), list[Judged]()
    for stage in dict.fromkeys((last, TOGETHER)):
        if stage in parts:
            groups = known_groups(parts[stage], wanted)
            answers = left_out_answers(task, groups, wanted, Labelled(parts[stage], targets), count, folds)
            found.append(Judged((answers - wanted).square().double().nanmean(dim=1), answers))
    return min(found, key=lambda each: float(each.losses.mean()))
