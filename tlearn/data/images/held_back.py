"""Hold a share of the training files back to test on. Letters: N files."""

from __future__ import annotations

import os
from collections.abc import Sequence

from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.data.files.file_list import FileList
from tlearn.data.files.listing import number_of
from tlearn.data.images.keyed_random import keys_of_names, uniform

_STREAM = 18  # apart from those that draw validation and augmentation


def held_back(names: Sequence[str], fraction: float) -> Tensor:
    """Draw the files to test on, each by its name alone: no other file, seed or option ever moves it.

    So the share of a class is the fraction only on average: of 100 files and 0.2 it is 20, give or take 4.

    Args:
        names: N names; files of one name, such as the objects in a picture, are on one side.
        fraction: The share; a larger one contains a smaller one.

    Returns:
        bool (N,).
    """
    return uniform(0, 0, keys_of_names(map(os.fsencode, names)), _STREAM) < fraction


def left_or_held_back(files: FileList, is_test: bool, fraction: float) -> FileList:
    """Return the files that are held back, or those that are left to train on.

    Args:
        files: The training files.
        is_test: Return those to test on.
        fraction: The share; see `held_back`.

    Raises:
        TlearnError: None is held back.
    """
    held, option = held_back(files.names, fraction), f"data.init_args.test_fraction {fraction:g}"
    if not held.any():
        raise TlearnError(f"{option} holds back none of {number_of(len(held), 'file')}; raise it, or add pictures")
    if is_test:
        return files.part(held, f"held back of {number_of(len(held), 'file')} ({option})", {})
    told = f"{int(held.sum())} of {number_of(len(held), 'file')} are held back for test ({option})"
    return files.part(~held, "; ".join(filter(None, [told, files.remarks])), files.skipped)
