"""The model's options: their values, and which exclude each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, get_args

from torch import nn

from tlearn.base.errors import TlearnError, one_line, unknown
from tlearn.base.types import Task


def check_class_options(
    task: Task,
    label_smoothing: float,
    class_weights: str | list[float] | None,
    class_names: Sequence[str],
    num_classes: int,
) -> None:
    """Check what changes the loss of classes.

    Args:
        task: Classification, multilabel or regression.
        label_smoothing: ``model.label_smoothing``.
        class_weights: ``model.class_weights``.
        class_names: For the message.
        num_classes: K.

    Raises:
        TlearnError: There are no classes, or another number of weights or names than of classes.
    """
    if class_names and len(class_names) != num_classes:
        raise TlearnError(
            f"num_classes is {num_classes}, class_names are {len(class_names)} ({', '.join(class_names)})"
        )
    for option, value in {"label_smoothing": label_smoothing, "class_weights": class_weights}.items():
        if value and task != "classification":
            raise TlearnError(f"model.{option} needs one class an image, the task is {task}; unset it")
    if isinstance(class_weights, list) and len(class_weights) != num_classes:
        raise TlearnError(
            f"model.class_weights lists {len(class_weights)} weights, the data have {num_classes} classes "
            f"({', '.join(class_names)}); give one for each, or balanced"
        )


def check_head_init(task: Task, head: nn.Module, head_init: str, wise_ft: bool) -> None:
    """Check that what is solved is one linear layer, and that what is mixed was solved.

    Raises:
        TlearnError: It is not so.
    """
    if wise_ft and head_init != "probe":
        raise TlearnError("model.wise_ft mixes in the probe's head; set model.head_init to probe")
    if head_init == "probe" and task == "multilabel":
        raise TlearnError("model.head_init: probe cannot solve several labels an image yet; set it to random")
    if head_init == "probe" and sum(isinstance(part, nn.Linear) for part in head.modules()) != 1:
        raise TlearnError("model.head_init: probe solves a linear head; drop model.head_hidden")


def check_steps(solver: str, lr_interval: str | None, has_scheduler: bool, warms_up: bool) -> None:
    """Check that options of the learning rate have something to act on.

    Raises:
        TlearnError: One of them would do nothing.
    """
    if lr_interval and not has_scheduler:
        raise TlearnError(
            f"model.lr_interval {lr_interval} says when model.lr_scheduler steps, but none is set; drop it"
        )
    if warms_up and solver != "sgd":
        raise TlearnError(f"model.head_solver {solver} takes no steps, there is nothing to warm up; drop the warm-up")


def check_head_solver(
    solver: str, task: Task, head: nn.Module, head_init: str, trained_by: str | None, has_scheduler: bool
) -> None:
    """Check that nothing but a linear head is to be trained, once.

    Args:
        solver: ``model.head_solver``.
        task: Classification, multilabel or regression.
        head: A linear layer alone has no parts.
        head_init: ``model.head_init``.
        trained_by: The option that lets the backbone train, now or later.
        has_scheduler: ``model.lr_scheduler`` is set.

    Raises:
        TlearnError: Something else is.
    """
    if solver == "sgd":
        return
    reasons = [
        (
            trained_by is not None,
            f"the backbone trains ({trained_by}); freeze it (model.freeze_backbone: true), or let "
            "model.head_init: probe solve the head before it does",
        ),
        (any(True for _ in head.children()), "model.head_hidden and model.head_dropout make more of it; drop them"),
        (head_init != "random", "model.head_init: probe does so too; drop one of them"),
        (has_scheduler, "nothing steps and model.lr_scheduler would do nothing; drop it"),
        (task == "multilabel", "several labels an image are not solved yet; train it: sgd"),
        (solver == "lbfgs" and task == "regression", "values are solved by ridge"),
    ]
    for holds, reason in reasons:
        if holds:
            raise TlearnError(f"model.head_solver {solver} solves a linear head, but {reason}")


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
