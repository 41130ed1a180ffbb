"""The target of a picture as text. K classes or columns."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from tlearn.base.types import Task


def label_text(target: Tensor, task: Task, class_names: Sequence[str]) -> str:
    """Return a target as a person reads it.

    Args:
        target: A class number, 0, 1 and NaN (K,), or numbers (K,).
        task: What it is of.
        class_names: K names.
    """
    if task == "regression":
        return ", ".join(f"{value:g}" for value in target.reshape(-1).tolist())
    numbers = (target > 0).nonzero().flatten().tolist() if target.ndim else [int(target)]
    return ", ".join(class_names[number] for number in numbers)


def known_labels(
    target: Tensor, task: Task, class_names: Sequence[str]
) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Return the labels that a picture has and those that are not known; ``None`` if it has one class."""
    if task != "multilabel":
        return None if task == "classification" else (), ()
    named = list(zip(class_names, target.tolist(), strict=True))
    return tuple(name for name, value in named if value == 1), tuple(name for name, v in named if v != v)
