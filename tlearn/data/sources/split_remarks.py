"""Say what files a split has: images of each class, labels that are one-sided, files that are not read."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from tlearn.base.errors import TlearnError
from tlearn.base.types import Task
from tlearn.data.files.file_list import FileList
from tlearn.data.files.listing import counts_of, number_of, told_of_unread
from tlearn.data.sources.table_cells import label_counts, warn_of_one_sided

log = logging.getLogger(__name__)


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
        about += f" of {len(set(labels))} classes ({counts_of(labels, class_names)})"
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
