"""Hold a share of the training files back to test on. Letters: N files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.data.files.exclusions import kept_positions, read_exclusions
from tlearn.data.files.file_list import FileList
from tlearn.data.files.listing import number_of
from tlearn.data.images.keyed_random import keys_of_names, uniform

_STREAM = 18  # apart from those that draw validation and augmentation


def held_back(names: Sequence[str], fraction: float) -> Tensor:
    """Draw the files to test on, each by its name alone: no other file or seed ever moves it.

    So the share of a class is the fraction only on average: of 100 files and 0.2 it is 20, give or take 4.

    Args:
        names: N names of files, or of their groups; files of one name, such as the objects in a picture, are on one
            side.
        fraction: The share; a larger one contains a smaller one.

    Returns:
        bool (N,).
    """
    return uniform(0, 0, keys_of_names(map(os.fsencode, names)), _STREAM) < fraction


def drawn_by(names: Sequence[str], groups: Sequence[str | None] | None) -> list[str]:
    """Return the names by which files (N,) are drawn: those of their groups, where there are any."""
    return list(names) if groups is None else [group or name for name, group in zip(names, groups, strict=True)]


def left_to_train(root: Path, names: Sequence[str], groups: Sequence[str | None] | None, fraction: float) -> list[int]:
    """Return the positions of the training files (N,) that are neither excluded nor held back to test on.

    Args:
        root: The folder that the names are relative to, with the exclusion list.
        names: N names of files.
        groups: N names of groups, where there are any.
        fraction: The share; see `held_back`.
    """
    tested = held_back(drawn_by(names, groups), fraction)
    return [number for number in kept_positions(names, read_exclusions(root)) if not tested[number]]


def left_or_held_back(files: FileList, is_test: bool, fraction: float) -> FileList:
    """Return the files that are held back, or those that are left to train on.

    Args:
        files: The training files.
        is_test: Return those to test on.
        fraction: The share; see `held_back`.

    Raises:
        TlearnError: None is held back.
    """
    names, option = drawn_by(files.names, files.groups), f"data.init_args.test_fraction {fraction:g}"
    held, count = held_back(names, fraction), number_of(len(names), "file")
    if files.groups is not None:
        count += f" of {number_of(len(set(names)), 'group')}, whole ones"
    if not held.any():
        raise TlearnError(f"{option} holds back none of {count}; raise it, or add pictures")
    if is_test:
        return files.part(held, f"held back of {count} ({option})", {})
    told = f"{int(held.sum())} of {count} are held back for test ({option})"
    return files.part(~held, "; ".join(filter(None, [told, files.remarks])), files.skipped)
