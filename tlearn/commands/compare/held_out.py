"""Keep what a run answers to the images of its fold, and put the folds together. N images, K outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tlearn.base.files import whole_file
from tlearn.base.types import Task
from tlearn.data.datamodule import ImageDataModule
from tlearn.data.images.grouped_split import name_of_group
from tlearn.training.out_of_fold_table import write_out_of_fold

HELD_OUT = "held_out.npz"
_DAMAGED = (OSError, ValueError, KeyError, EOFError)


class HeldOut(NamedTuple):
    """The answers of a run's best epoch to images that it has not trained on.

    Attributes:
        rows: int64 (N,), positions in the training source.
        answers: float32, probabilities (N, K), or values (N, K).
        targets: As in `Batch`.
        groups: int64 (N,), the group of each image; empty without groups.
        group_names: (N,), their names; likewise.
        names: (N,), the paths of the images; empty where images have no names.
    """

    rows: Tensor
    answers: Tensor
    targets: Tensor
    groups: Tensor
    group_names: list[str]
    names: list[str]

    def save(self, path: Path) -> None:
        """Write it, whole or not at all.

        Raises:
            TlearnError: The file cannot be written.
        """
        texts = {"group_names": self.group_names, "names": self.names}
        parts = self._asdict() | {name: np.array(of, dtype=np.str_) for name, of in texts.items()}
        with whole_file(path) as partial, partial.open("wb") as file:
            np.savez(file, **parts)


def saved(path: Path) -> HeldOut | None:
    """Read what was kept; ``None`` where there is nothing, or a damaged file."""
    try:
        with np.load(path, allow_pickle=False) as parts:
            rows, answers, targets = (torch.from_numpy(parts[name]) for name in ("rows", "answers", "targets"))
            groups = torch.from_numpy(parts["groups"].astype(np.int64))
            return HeldOut(rows, answers, targets, groups, parts["group_names"].tolist(), parts["names"].tolist())
    except _DAMAGED:
        return None


def held_out(data: ImageDataModule, answers: Tensor, targets: Tensor) -> HeldOut:
    """Say of the validation images of a run, in their order, what they are and what was answered."""
    images = data.dataset("val")
    groups = torch.zeros(0, dtype=torch.int64) if images.groups is None else images.groups[images.indices]
    known = data.group_names
    group_names = [name_of_group(number, known) for number in groups.tolist()]
    names = data.picture_names(images.indices) or []
    return HeldOut(images.indices, answers, targets, groups, group_names, names)


def write_joined(path: Path, task: Task, class_names: list[str], folds: Mapping[int, HeldOut]) -> None:
    """Write the answers of all folds, counted from 1, in the order of the training source.

    Raises:
        TlearnError: The file cannot be written.
    """
    parts = list(folds.values())
    rows = torch.cat([part.rows for part in parts])
    order = rows.argsort()
    places = order.tolist()
    numbers = [number for number, part in folds.items() for _ in range(len(part.rows))]
    names = [name for part in parts for name in part.names]
    groups = [name for part in parts for name in part.group_names]
    write_out_of_fold(
        *(path, task, class_names),
        torch.cat([part.answers for part in parts])[order],
        torch.cat([part.targets for part in parts])[order],
        [names[place] for place in places] if names else rows[order].tolist(),
        folds=[numbers[place] for place in places],
        groups=[groups[place] for place in places] if groups else None,
    )
