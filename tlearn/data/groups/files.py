"""Give the files of a split the numbers of their groups. Letters: N files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.data.files.exclusions import kept_positions, read_exclusions
from tlearn.data.files.file_list import FileList
from tlearn.data.groups.rule import told_of_gaps
from tlearn.data.images.group_remarks import coded, warn_of_shared

log = logging.getLogger(__name__)


def groups_of_files(
    split: str, files: FileList, group: int | str | None, root: Path, leaves_out: bool, names: list[str]
) -> Tensor | None:
    """Return the number of each file's group.

    Args:
        split: The split. Only training needs all groups: others are evaluated without, too.
        files: Its files.
        group: The option.
        root: Where the files lie, for the list of those that are left out.
        leaves_out: Training files without a group are left out; else they are refused.
        names: Names of the groups that have numbers already; new ones are added.

    Returns:
        int64 (N,), -1 for a training file without a group; ``None`` where groups are not known.

    Raises:
        TlearnError: Training files that are not excluded have none, all of them or while none may be left out.
    """
    if files.groups is None or group is None:
        return None
    kept = kept_positions(files.names, read_exclusions(root))
    return numbers_of_groups(split, files.names, files.groups, kept, group, leaves_out, names)


def numbers_of_groups(
    split: str,
    paths: Sequence[str],
    groups: Sequence[str | None],
    kept: Sequence[int],
    group: int | str,
    leaves_out: bool | None,
    names: list[str],
) -> Tensor | None:
    """Return the number of each picture's group, see `groups_of_files`.

    Args:
        split: The split.
        paths: N paths.
        groups: N names of groups, ``None`` for a picture without one.
        kept: The positions of those that are used.
        group: The option.
        leaves_out: Training pictures without a group are left out; else they are refused. ``None`` where no option
            could leave them out.
        names: Names of the groups that have numbers already; new ones are added.

    Raises:
        TlearnError: Training pictures that are used have none, all of them or while none may be left out.
    """
    missing = [paths[number] for number in kept if groups[number] is None]
    if missing:
        told = told_of_gaps(split, group, missing, len(kept))
        if split == "train" and (len(missing) == len(kept) or not leaves_out):
            way = (
                ""
                if len(missing) == len(kept) or leaves_out is None
                else ", or leave them out: --data.init_args.on_error skip"
            )
            raise TlearnError(f"{told}; mend the option{way}")
        if len(missing) < len(kept):
            log.warning("%s%s", told, "; left out" if split == "train" else "; its groups are not used")
        if split != "train":
            return None
    return torch.tensor(coded(groups, names), dtype=torch.int64)


def in_groups(numbers: list[int], groups: Tensor | None) -> list[int]:
    """Return the positions of those files that have a group; all where there are no groups."""
    return numbers if groups is None else [number for number in numbers if groups[number] >= 0]


def warn_of_known_groups(trained: FileList | None, tested: FileList | None) -> None:
    """Warn of groups to test on of which other pictures train."""
    if trained is not None and tested is not None:
        tests, trains = ([name for name in files.groups or () if name] for files in (tested, trained))
        warn_of_shared("test", tests, trains)
