"""Say what files a split has: images of each class, labels that are one-sided, files that are not read.

Letters: N images, K classes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.types import Task
from tlearn.data.files.file_list import FileList
from tlearn.data.files.listing import counts_of, number_of, told_of_unread

log = logging.getLogger(__name__)

_MOST = 12  # classes in a line


def say_what_is_there(
    split: str,
    files: FileList,
    good: Sequence[int],
    remarks: Sequence[str],
    task: Task,
    class_names: list[str],
    root: Path,
) -> None:
    """Log how many images of each class a split has, and warn of classes that it lacks and of files that are not read.

    Args:
        split: Its name.
        files: Its files.
        good: The positions of those that are used.
        remarks: What else is to be said of them.
        task: The task.
        class_names: Names of the classes.
        root: Where the files lie.

    Raises:
        TlearnError: A class has no image to train on.
    """
    about, unread = f"{split}: {len(good)} images", told_of_unread(files.skipped, split)
    if task == "classification":
        labels = files.targets[good].tolist()
        about += f" of {number_of(len(set(labels)), 'class', 'classes')} ({counts_of(labels, class_names)})"
        absent = [name for number, name in enumerate(class_names) if number not in set(labels)]
        if absent and split == "train":
            told = "; ".join(filter(None, [unread, files.remarks]))
            where = f"{root.absolute()}{f' ({told})' if told else ''}{'' if unread else '; add some'}"
            raise TlearnError(f"no training images for: {', '.join(absent)} in {where}")
        if absent:
            log.warning("no %s images for: %s", {"val": "validation"}.get(split, split), ", ".join(absent))
    if task == "multilabel":
        about += f" of {len(class_names)} classes ({label_counts(files.targets[good], class_names)})"
        warn_of_one_sided(split, files.targets[good], class_names)
    if files.groups is not None and any(files.groups[number] for number in good):
        about += f" in {number_of(len({files.groups[number] for number in good}), 'group')}"
    if unread:
        log.warning("%s", unread)
    log.info("%s", "; ".join([f"{about} in {root.absolute()}", *remarks]))


def are_contrary(targets: Sequence[Tensor]) -> bool:
    """Tell whether two of the targets, each (K,) of 0, 1 and NaN, contradict each other."""
    every = torch.stack(list(targets))
    return bool(((every == 1).any(dim=0) & (every == 0).any(dim=0)).any())


def label_counts(targets: Tensor, class_names: Sequence[str]) -> str:
    """Say how many images have each label, and of how many it is known if not of all: ``a 3, b 2 of 5 known``.

    Args:
        targets: 0, 1 and NaN (N, K).
        class_names: K names.
    """
    yes, known = (targets == 1).sum(dim=0).tolist(), (~targets.isnan()).sum(dim=0).tolist()
    each = [
        f"{name} {count}" + (f" of {among} known" if among < len(targets) else "")
        for name, count, among in zip(class_names, yes, known, strict=True)
    ]
    return ", ".join(each[:_MOST]) + (f", and {len(each) - _MOST} more" if len(each) > _MOST else "")


def warn_of_one_sided(split: str, targets: Tensor, class_names: Sequence[str]) -> None:
    """Warn of labels of which nothing is known, that no image of a split has, or that no image lacks.

    Args:
        split: Its name.
        targets: 0, 1 and NaN (N, K).
        class_names: K names.

    Raises:
        TlearnError: Nothing is known of a label of the training images, or of any label.
    """
    known, yes, no = (found.any(dim=0) for found in (~targets.isnan(), targets == 1, targets == 0))
    masks = {"says anything of": ~known, "has": known & ~yes, "lacks": known & ~no}
    found = {verb: [class_names[n] for n in mask.nonzero().flatten().tolist()] for verb, mask in masks.items()}
    nothing = found["says anything of"]
    if nothing and split == "train":
        raise TlearnError(
            f"no training image says anything of: {', '.join(nothing)} (all cells are empty); leave it "
            "out of data.init_args.label_column, or set data.init_args.empty_labels to no"
        )
    if len(nothing) == len(class_names):
        raise TlearnError(
            f"no {split} image says anything of any label: nothing could be measured; leave the split out"
        )
    called = {"val": "validation", "train": "training"}.get(split, split)
    for verb, names in found.items():
        if names:
            log.warning("no %s image %s: %s", called, verb, ", ".join(names))
