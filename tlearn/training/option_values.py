"""Refuse values of the model's options that lie outside of what they mean, from Python as from the command line."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, get_args

from tlearn.base.errors import TlearnError, one_line, unknown
from tlearn.base.types import Task

_CHOICES = {
    "task": get_args(Task),
    "batch_norm": ("follows", "fixed"),
    "head_init": ("random", "probe"),
    "feature_cache": ("auto", "off", "refresh"),
    "head_solver": ("sgd", "lbfgs", "ridge"),
    "lr_interval": ("epoch", "step"),
}
_FLAGS = ("freeze_backbone", "wise_ft")
_SHARES = ("head_dropout", "label_smoothing")
_POSITIVE = ("l2_sp", "class_weights", "lr_scales", "rules")


def check_option_values(**options: Any) -> None:
    """Check plain values that need no other to be judged.

    Args:
        **options: Name to value.

    Raises:
        TlearnError: A text that is none of the choices, a number not finite or out of range, a flag that is none.
    """
    for name, value in options.items():
        if name in _CHOICES and value not in _CHOICES[name]:
            raise unknown(f"model.{name}", str(value), _CHOICES[name])
        if name in _FLAGS and not isinstance(value, bool):
            raise TlearnError(f"model.{name}: expected true or false, got {value!r}")
        if name in _SHARES and not (_is_number(value) and 0 <= value <= 1):
            raise TlearnError(f"model.{name}: expected a number from 0 to 1, got {value}")
        if name in _POSITIVE and value != "balanced":
            for number in _numbers_in(value):
                if not (_is_number(number) and math.isfinite(number) and number > 0):
                    raise TlearnError(f"model.{name}: expected a finite number above 0, got {number}")


def built(option: str, make: Callable[[Any], Any], given: Any) -> Any:
    """Build an optimizer or scheduler.

    Args:
        option: ``optimizer`` or ``lr_scheduler``.
        make: Builds it.
        given: What from.

    Raises:
        TlearnError: It does not take its options; they are named.
    """
    try:
        return make(given)
    except (ValueError, TypeError) as error:
        raise TlearnError(f"model.{option} does not take its init_args: {one_line(error, 200)}") from error


def check_groups(groups: Iterable[dict[str, Any]]) -> None:
    """Check what an optimizer computes with.

    Raises:
        TlearnError: A learning rate, momentum or the like is infinite, or no number.
    """
    for group in groups:
        for name, value in group.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise TlearnError(f"model.optimizer.init_args.{name}: expected a finite number, got {value}")


def _numbers_in(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [number for number in value.values() if number is not None]
    return value if isinstance(value, list) else [] if value is None else [value]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
