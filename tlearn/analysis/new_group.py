"""The score at a new group, such as a site or a patient, predicted by leaving out one known group at a time.

Letters: N images, D features, K outputs, G groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite

import torch
from torch import Tensor

from tlearn.analysis.stage_probe import Labelled, left_out_answers, score, wanted_outputs
from tlearn.base.intervals import grouped_interval
from tlearn.base.types import Task
from tlearn.data.images.folds import fold_numbers
from tlearn.data.images.grouped_split import name_of_group
from tlearn.data.images.image_set import ImageSet
from tlearn.training.strategies.known_labels import known_groups
from tlearn.training.strategies.left_out import folds_from

SHOWN = 12  # groups in a table
_FEWEST_VALUES = 2  # one has no variance to explain
_SEED = 0  # of the folds, apart from the run's


@dataclass(frozen=True)
class GroupScore:
    """How well a group is answered by a layer that has seen none of its images.

    Attributes:
        group: Its name.
        images: Training images of it.
        score: Share of right answers, or as `tlearn.analysis.stage_probe.score`; ``None`` where that needs more images.
    """

    group: str
    images: int
    score: float | None


@dataclass(frozen=True)
class NewGroup:
    """What to expect at a group that is like the known ones, and has not been seen.

    Attributes:
        score: On the images of each group, by ridge regression on all other groups.
        interval: Its 95 % interval over groups, of an accuracy; ``None`` else.
        random_split: The same with random images left out, whose group has been seen.
        flattery: How much that looks better: `random_split` less `score`.
        groups: G scores, the worst first.
    """

    score: float
    interval: tuple[float, float] | None
    random_split: float
    flattery: float
    groups: list[GroupScore]


def fold_of_each(train: ImageSet, task: Task, folds: int | None) -> Tensor | None:
    """Return the fold of each training image, int64 (N,), by which images are left out together.

    Args:
        train: The training images.
        task: Folds are stratified where images have one class.
        folds: How many; by default each group is one, and without groups it is decided by size: ``None``.

    Raises:
        TlearnError: There are fewer groups or images than folds.
    """
    groups, targets = _groups_of(train), train.targets[train.indices]
    if folds is None:
        return groups
    labels = targets if task == "classification" else torch.zeros(len(train), dtype=torch.int64)
    return fold_numbers(labels, groups, folds, _SEED, train.draw_keys())


def _groups_of(train: ImageSet) -> Tensor | None:
    """Return the group of each image, int64 (N,), if there are two or more."""
    groups = None if train.groups is None else train.groups[train.indices]
    return groups if groups is not None and len(groups.unique()) > 1 else None


def at_new_group(
    task: Task, images: ImageSet, train: Labelled, num_classes: int, names: Sequence[str]
) -> NewGroup | None:
    """Predict the score at a new group; ``None`` where there are not two groups.

    Args:
        task: Kind of targets.
        images: The training images, which know their groups.
        train: Their features (N, D) and targets.
        num_classes: K.
        names: Of all groups; see `ImageDataModule.group_names`.
    """
    groups = _groups_of(images)
    if groups is None:
        return None
    wanted = wanted_outputs(task, train.targets, num_classes)
    known = known_groups(train.features, wanted)
    unseen, loose = (left_out_answers(task, known, wanted, train, num_classes, each) for each in (groups, None))
    parts = folds_from(groups)
    scores = [
        GroupScore(
            name_of_group(int(groups[part[0]]), names), len(part), _score(task, unseen[part], train.targets[part])
        )
        for part in parts
    ]
    interval = None
    if task == "classification":
        hits = (unseen.argmax(dim=1) == train.targets).double()
        interval = grouped_interval(hits.numpy(), groups.numpy())
    expected, random_split = (score(task, each, train.targets) for each in (unseen, loose))
    worst_first = sorted(scores, key=lambda each: (inf if each.score is None else each.score, each.group))
    return NewGroup(expected, interval, random_split, random_split - expected, worst_first)


def _score(task: Task, outputs: Tensor, targets: Tensor) -> float | None:
    if task == "regression" and len(outputs) < _FEWEST_VALUES:
        return None
    found = score(task, outputs, targets)
    return found if isfinite(found) else None
