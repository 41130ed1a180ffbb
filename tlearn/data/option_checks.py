"""Check options of a data module that depend on each other, before any data are read."""

from __future__ import annotations

from typing import Any

from tlearn.base.errors import TlearnError
from tlearn.base.plain_values import plain_values, whole_number
from tlearn.base.types import Task
from tlearn.data.images.augment import Augment
from tlearn.data.images.folds import FEWEST_FOLDS

VAL_FRACTION = 0.1  # the default


def whole(option: str, value: Any, least: int | None = None) -> int:
    """Read an option that is a whole number.

    Raises:
        TlearnError: It is none, or below the least.
    """
    (plain,) = plain_values(**{option: value})
    return whole_number(f"data.init_args.{option}", plain, least)


def share_below_1(option: str, value: Any) -> float:
    """Read an option that is a share from 0 to below 1.

    Raises:
        TlearnError: It is none.
    """
    (share,) = plain_values(**{option: value})
    if not (isinstance(share, (int, float)) and 0 <= share < 1):
        raise TlearnError(f"data.init_args.{option}: expected from 0 to below 1, got {share}")
    return share


def folds_of(folds: Any, fold: Any, val_fraction: float) -> tuple[int | None, int]:
    """Read the options ``folds`` and ``fold``.

    Raises:
        TlearnError: There are fewer than two folds, no fold of this number, or ``val_fraction`` is set too.
    """
    number = whole("fold", fold, 1)
    if folds is None:
        if number != 1:
            raise TlearnError(f"data.init_args.fold {number} is one of data.init_args.folds, which is not set; set it")
        return None, 1
    count = whole("folds", folds, FEWEST_FOLDS)
    if number > count:
        raise TlearnError(f"data.init_args.fold: expected from 1 to {count} (data.init_args.folds), got {number}")
    if val_fraction != VAL_FRACTION:
        raise TlearnError(
            f"data.init_args.folds {count} validates on one of {count} folds, data.init_args.val_fraction "
            f"{val_fraction:g} on another share; drop one of the two"
        )
    return count, number


def refuse_what_needs_one_class(task: Task, train_per_class: int | None, augment: Augment) -> None:
    """Refuse options that need one class an image, where the task is another.

    Raises:
        TlearnError: One is set.
    """
    if task == "classification":
        return
    given = {"train_per_class": train_per_class}
    given |= {f"augment.{name}": getattr(augment, name) for name in ("mixup_alpha", "cutmix_alpha")}
    for name, value in given.items():
        if value:
            raise TlearnError(
                f"{name} {value:g} needs one class an image, the task is {task}; unset data.init_args.{name}"
            )


def refuse_colour_changes(augment: Augment, num_channels: int) -> None:
    """Refuse changes of colour, where images are not red, green and blue.

    Raises:
        TlearnError: They are set.
    """
    if augment.randaugment and num_channels != 3:
        raise TlearnError(
            "data.init_args.augment.randaugment changes red, green and blue, the images have "
            f"{num_channels} channel{'s' * (num_channels > 1)}; set it to false (flip, crops, mixup and "
            "cutmix take any number)"
        )
